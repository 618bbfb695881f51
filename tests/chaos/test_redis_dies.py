"""Redis is killed and frozen under load: every job ends, and a pause of Redis starts none twice."""

from __future__ import annotations

import asyncio
import random

import pytest

from aqueue import EnqueueUncertain, Queue
from tests.chaos import jobs
from tests.chaos.checker import Checker
from tests.chaos.procs import Fleet
from tests.servers import Server
from tests.support import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.timeout(60)
async def test_every_job_ends_though_redis_is_killed_and_restarted_under_load(
    server: Server, queue: Queue, fleet: Fleet, checker: Checker, dice: random.Random
) -> None:
    for worker in [fleet.spawn(lease=2), fleet.spawn(lease=2)]:
        await worker.serving()

    async def produce() -> list[str]:
        ids: list[str] = []
        for _ in range(150):
            try:
                job = await queue.enqueue(jobs.nap, dice.uniform(0.01, 0.2))
            except EnqueueUncertain as error:
                job = await error.retry()
            ids.append(job.id)
            await asyncio.sleep(dice.uniform(0, 0.03))
        return ids

    producing = asyncio.create_task(produce())
    for _ in range(2):
        await asyncio.sleep(dice.uniform(0.3, 0.8))
        server.kill()
        await asyncio.sleep(dice.uniform(0, 0.5))
        server.start()
    ids = await producing
    await wait_until(lambda: checker.ended() >= len(ids), timeout=30)

    records = checker.check(ids)
    assert {str(record.status) for record in records.values()} == {"finished"}
    assert all(worker.code is None for worker in fleet.workers)


@pytest.mark.timeout(40)
async def test_a_redis_that_is_frozen_for_three_leases_starts_no_job_twice(
    server: Server, queue: Queue, fleet: Fleet, checker: Checker, dice: random.Random
) -> None:
    for worker in [fleet.spawn(), fleet.spawn()]:
        await worker.serving()
    naps = await queue.enqueue_many(Queue.prepare_data(jobs.nap, (dice.uniform(0.5, 5),)) for _ in range(16))
    await wait_until(lambda: len(fleet.ledger.starts()) == 16)
    server.freeze()
    await asyncio.sleep(3)
    server.thaw()
    for job in naps:
        await job.wait(15)

    records = checker.check(job.id for job in naps)
    assert set(fleet.ledger.starts().values()) == {1}
    assert sum(record.lost for record in records.values()) == 0
