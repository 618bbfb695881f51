"""T01 to T19: workers that die, freeze and leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aqueue import Queue
from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import WORKER_KILLS, ZOMBIES
from tests.support import wait_until

#: Functions that differ in where they run.
NAPS: list[Callable[..., Any]] = [jobs.nap, jobs.nap_in_thread]


@scenario(
    "T01",
    "workers are killed at random times, two queues",
    checks="I1 I2 I3 I4 I5 I10 I11",
    quick={"jobs": 120, "kills": 4, "workers": 3},
    full={"jobs": 4000, "kills": 40, "workers": 4},
    parts=25,
)
async def killed_at_random(stage: Stage) -> None:
    stage.checker.serve("default", "other")
    queues = [stage.queue, Queue("other", stage.server.url, namespace="chaos")]
    for worker in [stage.fleet.spawn("default", "other", lease=2) for _ in range(stage.number("workers"))]:
        await worker.serving()
    for _ in range(kills := stage.number("kills")):
        naps = [
            Queue.prepare_data(stage.dice.choice(NAPS), (stage.dice.uniform(0.02, 0.4),))
            for _ in range(stage.number("jobs") // kills)
        ]
        stage.acked += [job.id for job in await stage.dice.choice(queues).enqueue_many(naps)]
        await asyncio.sleep(stage.dice.uniform(0.05, 0.4))
        stage.dice.choice(stage.fleet.alive).kill()
        stage.seen.add(WORKER_KILLS)
        await stage.fleet.spawn("default", "other", lease=2).serving()
    await stage.all_ended()


@scenario(
    "T05",
    "a worker is frozen past its lease and comes back",
    checks="I1 I2 I3 I4 I9 I10",
    quick={"zombies": 1},
    full={"zombies": 10},
    parts=20,
)
async def frozen_past_the_lease(stage: Stage) -> None:
    for worker in [stage.fleet.spawn(concurrency=1), stage.fleet.spawn(concurrency=1)]:
        await worker.serving()
    for number in range(stage.number("zombies")):
        await _come_back(stage, str(stage.folder / f"door{number}"))


async def _come_back(stage: Stage, door: str) -> None:
    """The job is run by the other worker meanwhile; what the zombie then says about it is refused."""
    job = await stage.enqueue(jobs.wait_at, door)
    [start] = await wait_until(lambda: stage.ledger.starts_of(job.id))
    frozen = stage.fleet.of(start.pid)
    frozen.freeze()
    await wait_until(lambda: len(stage.ledger.starts_of(job.id)) == 2, timeout=20)
    await asyncio.sleep(stage.dice.uniform(0, 3))
    jobs.open_door(door, frozen.pid)
    frozen.thaw()
    stage.seen.add(ZOMBIES)
    await wait_until(lambda: f"{job.id}: the lease was lost" in frozen.output)
    assert await job.get_status() == "started", "the outcome of a zombie was recorded"
    jobs.open_door(door, stage.ledger.starts_of(job.id)[-1].pid)
    assert await job.wait(20) != frozen.pid
