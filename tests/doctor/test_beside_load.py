"""A repair in a loop beside producers and a worker: it finds nothing but damage, and loses nothing."""

from __future__ import annotations

import asyncio
import random

from aqueue import Job, NoSuchJobError, Queue, Retry
from aqueue.errors import InvalidJobOperation
from aqueue.mending import Harm, examine
from tests import tasks
from tests.doctor.planting import Ground
from tests.support import wait_until
from tests.worker.hands import working

RETRY = Retry(max=2, interval=[0, 0.05])


async def _produce(queue: Queue, dice: random.Random, made: list[Job[object]], count: int) -> None:
    """Jobs that go every way there is."""
    for _ in range(count):
        match dice.randrange(8):
            case 0:
                job = await queue.enqueue(tasks.div_by_zero, 1, retry=RETRY, ttl=60)
            case 1:
                job = await queue.enqueue_in(0.05, tasks.add, 1, 2, ttl=60)
            case 2:
                job = await queue.enqueue(tasks.nap, 0.02, priority=dice.choice([-5, 5]), at_front=True)
            case 3:
                job = await queue.enqueue(tasks.add, 1, 2, result_ttl=dice.choice([0, -1, 60]))
            case 4:
                job = Job.create(tasks.add, (1, 2))
                await job.save()
                await queue.enqueue_job(job)
            case _:
                job = await queue.enqueue(tasks.add, 1, 2, ttl=dice.choice([None, 60]))
        made.append(job)
        if dice.random() < 0.3:
            await _meddle(dice.choice(made), dice)


async def _meddle(job: Job[object], dice: random.Random) -> None:
    """What a user may do to a job at any time."""
    try:
        await dice.choice([job.cancel, job.requeue, job.stop])()
    except (InvalidJobOperation, NoSuchJobError):
        pass


async def test_a_repair_beside_load_finds_nothing_and_loses_nothing(ground: Ground) -> None:
    queue, dice, made = ground.queue, random.Random(7), list[Job[object]]()
    found: list[Harm] = []
    rounds = 0

    async def repair() -> None:
        nonlocal rounds
        while True:
            found.extend((await examine(repair=True)).harms.values())
            rounds += 1

    async def idle() -> bool:
        live = ("queue", "scheduled", "started")
        return not any(ground.stage.db.zcard(queue.space.keys.registry(name, "default")) for name in live)

    async with working(queue, concurrency=10):
        repairing = asyncio.create_task(repair())
        while rounds < 6:
            await asyncio.gather(*(_produce(queue, dice, made, 20) for _ in range(4)))
        await wait_until(idle)
        repairing.cancel()
        await asyncio.wait([repairing])

    assert [(harm.kind, harm.samples) for harm in found] == []
    ground.check()
    fetched = await Job.fetch_many([job.id for job in made])
    ends = [job.status for job in fetched if job is not None]
    assert set(ends) <= {"finished", "failed", "canceled", "stopped"}
    # A job without a trace had asked for that.
    assert len(ends) >= len(made) * 0.9


async def test_what_is_damaged_again_and_again_under_load_is_all_run(ground: Ground) -> None:
    queue, dice, keys = ground.queue, random.Random(8), ground.space.keys
    made: list[Job[int]] = []

    async def damage() -> None:
        """Whoever takes waiting jobs out of their registries."""
        while True:
            for name in ("queue", "scheduled"):
                for job_id in ground.stage.db.zrange(keys.registry(name, "default"), 0, 3):
                    ground.stage.db.zrem(keys.registry(name, "default"), job_id)
            await asyncio.sleep(0)

    async def all_finished() -> bool:
        await examine(repair=True)
        return all([await job.get_status() == "finished" for job in made])

    async with working(queue, concurrency=10):
        damaging = asyncio.create_task(damage())
        for _ in range(60):
            made.append(await queue.enqueue_in(dice.choice([0.001, 0.01]), tasks.add, 1, 2))
            made.append(await queue.enqueue(tasks.add, 1, 2))
        damaging.cancel()
        await wait_until(all_finished)

    assert (
        sum(int(ground.stage.db.hget(keys.meta("default"), name) or 0) for name in ("finished", "failed"))
        == 120
    )
    ground.check()
