"""A worker beside hostile hands, and the repair after them: the body of the fuzz test and of its scenario."""

from __future__ import annotations

import asyncio
import random

from aqueue import Queue, Retry
from tests import tasks
from tests.doctor.mutating import Mutator
from tests.doctor.planting import Ground
from tests.worker.hands import burst, working

#: Mutations per job, of jobs enqueued lately.
EACH, LATELY = 4, 15


async def fuzz(ground: Ground, dice: random.Random, count: int) -> int:
    """Damage so many live jobs beside a worker; how many mutations.

    The worker has to stay alive and run a healthy job. Then a repair has to mend all, and what it saved has
    to end; nothing damaged is left then.
    """
    queue, ids = ground.queue, list[str]()
    mutator = Mutator(dice, ground.stage.db, ground.space.keys)
    async with working(queue, concurrency=10, lease=2, grace=0.2, farewell=0.5):
        for _ in range(count):
            ids.append(await _enqueue(queue, dice))
            for _ in range(EACH):
                mutator.mutate(dice.choice(ids[-LATELY:]))
            await asyncio.sleep(0)
        healthy = await queue.enqueue(tasks.add, 20, 1)
        assert await healthy.wait(timeout=30) == 21
    await _repair(ground)
    await burst(queue)
    await _repair(ground, found=False)
    return len(mutator.done)


async def _enqueue(queue: Queue, dice: random.Random) -> str:
    calls: list[tuple[str, float]] = [
        ("tests.tasks.nap", dice.random() / 50),
        ("tests.tasks.div_by_zero", 1),
        ("tests.tasks.missing", 1),
    ]
    own = queue.options(
        ttl=dice.choice([None, 60]),
        retry=dice.choice([None, Retry(max=2, interval=[0, 0.01])]),
        priority=dice.choice([0, 5]),
        result_ttl=dice.choice([None, 0, -1]),
    )
    return (await own.enqueue(*dice.choice(calls))).id


async def _repair(ground: Ground, *, found: bool = True) -> None:
    """One repair mends all, so a second one finds nothing."""
    first = await ground.examine(repair=True)
    assert bool(first) == found, first
    again = await ground.examine(repair=True)
    assert again == {}, f"mended {first}, then found {again}"
    ground.check()
