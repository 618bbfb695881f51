"""Workers are killed, frozen and blocked: no job is lost, and each ends once."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from aqueue import JobFailed, Queue
from tests.chaos import jobs
from tests.chaos.checker import Checker
from tests.chaos.procs import Fleet, WorkerProc
from tests.servers import Server
from tests.support import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.timeout(60)
async def test_nothing_is_lost_when_workers_are_killed_at_random(
    server: Server, queue: Queue, url: str, fleet: Fleet, dice: random.Random
) -> None:
    other = Queue("other", connection=url)
    checker = Checker(server, queue.space, fleet.ledger, "default", "other")
    ids = [
        job.id
        for target in (queue, other)
        for job in await target.enqueue_many(
            Queue.prepare_data(dice.choice([jobs.nap, jobs.nap_in_thread]), (dice.uniform(0.02, 0.3),))
            for _ in range(150)
        )
    ]

    def spawn() -> WorkerProc:
        return fleet.spawn("default", "other", lease=2)

    for worker in [spawn(), spawn()]:
        await worker.serving()
    for _ in range(6):
        await asyncio.sleep(dice.uniform(0.1, 0.5))
        dice.choice(fleet.alive).kill()
        await spawn().serving()
    await wait_until(lambda: checker.ended() >= len(ids), timeout=30)

    records = checker.check(ids)
    assert {str(record.status) for record in records.values()} == {"finished"}
    assert sum(record.lost for record in records.values()) > 0


@pytest.mark.timeout(60)
async def test_a_job_that_kills_its_worker_ends_failed_after_four_starts(
    queue: Queue, fleet: Fleet, checker: Checker
) -> None:
    neighbours = await queue.enqueue_many(Queue.prepare_data(jobs.nap, (0.05,)) for _ in range(10))
    deadly = await queue.enqueue(jobs.die)
    neighbours += await queue.enqueue_many(Queue.prepare_data(jobs.nap, (0.05,)) for _ in range(10))

    def all_ended() -> bool:
        if not fleet.alive:
            fleet.spawn(concurrency=30)
        return checker.ended() >= 21

    await wait_until(all_ended, timeout=50, every=0.05)

    assert fleet.ledger.starts()[deadly.id] == 4
    with pytest.raises(JobFailed, match="its worker disappeared 4 times") as caught:
        await deadly.wait(0)
    assert caught.value.type == "AbandonedJobError"
    records = checker.check([deadly.id, *(job.id for job in neighbours)])
    assert {str(records[job.id].status) for job in neighbours} == {"finished"}
    assert max(records[job.id].lost for job in neighbours) <= 3


@pytest.mark.timeout(40)
async def test_the_outcome_of_a_worker_that_was_frozen_past_its_lease_is_dropped(
    queue: Queue, fleet: Fleet, checker: Checker, tmp_path: Path
) -> None:
    door = str(tmp_path / "door")
    frozen = await fleet.spawn(concurrency=1).serving()
    job = await queue.enqueue(jobs.wait_at, door)
    await wait_until(lambda: fleet.ledger.starts()[job.id] == 1)
    second = await fleet.spawn(concurrency=1).serving()
    frozen.freeze()
    await wait_until(lambda: fleet.ledger.starts()[job.id] == 2)

    jobs.open_door(door, frozen.pid)
    frozen.thaw()
    await wait_until(lambda: "lease was lost" in frozen.output)
    assert await job.get_status() == "started"
    jobs.open_door(door, second.pid)

    assert await job.wait(10) == second.pid
    assert checker.check([job.id])[job.id].lost == 1


@pytest.mark.timeout(40)
async def test_a_worker_frozen_for_less_than_its_lease_keeps_its_jobs(
    queue: Queue, fleet: Fleet, checker: Checker, tmp_path: Path, dice: random.Random
) -> None:
    door = str(tmp_path / "door")
    first = await fleet.spawn(lease=3, concurrency=1).serving()
    job = await queue.enqueue(jobs.wait_at, door)
    await wait_until(lambda: fleet.ledger.starts()[job.id] == 1)
    await fleet.spawn(lease=3, concurrency=1).serving()
    for _ in range(2):
        first.freeze()
        await asyncio.sleep(dice.uniform(0.8, 1.5))
        first.thaw()
        await asyncio.sleep(1)
    jobs.open_door(door, first.pid)

    assert await job.wait(10) == first.pid
    assert checker.check([job.id])[job.id].lost == 0


@pytest.mark.timeout(40)
async def test_a_loop_that_is_blocked_for_four_leases_keeps_its_job(
    queue: Queue, fleet: Fleet, checker: Checker
) -> None:
    blocked = await fleet.spawn(concurrency=2).serving()
    neighbour = await queue.enqueue(jobs.nap, 0.5)
    job = await queue.enqueue(jobs.block, 4.0)
    await wait_until(lambda: len(fleet.ledger.starts()) == 2)
    await fleet.spawn().serving()

    assert await job.wait(15) == "blocked"
    assert await neighbour.wait(5) == 0.5
    assert blocked.code is None
    checker.check([job.id, neighbour.id])
    assert fleet.ledger.starts() == {job.id: 1, neighbour.id: 1}


@pytest.mark.timeout(40)
async def test_the_job_of_a_killed_worker_is_soon_run_by_another(
    queue: Queue, fleet: Fleet, checker: Checker, tmp_path: Path
) -> None:
    lease = 1
    door = str(tmp_path / "door")
    first = await fleet.spawn(lease=lease, concurrency=1).serving()
    job = await queue.enqueue(jobs.wait_at, door)
    await wait_until(lambda: fleet.ledger.starts()[job.id] == 1)
    second = await fleet.spawn(lease=lease, concurrency=1).serving()
    first.kill()
    killed = time.monotonic()
    await wait_until(lambda: fleet.ledger.starts()[job.id] == 2)
    jobs.open_door(door, second.pid)
    await job.wait(10)

    took = fleet.ledger.starts_of(job.id)[1].at - killed
    print(f"recovered {took:.2f} s after the kill")
    assert took <= lease + 4  # lease + 2 where nothing else runs
    checker.check([job.id])


@pytest.mark.timeout(40)
async def test_a_worker_whose_loop_stays_blocked_exits_75_and_its_jobs_are_run_by_another(
    queue: Queue, fleet: Fleet, checker: Checker, tmp_path: Path
) -> None:
    door = str(tmp_path / "door")
    blocked = await fleet.spawn(options=["--max-stall", "1.5"]).serving()
    held = [await queue.enqueue(func, door, job_timeout=1) for func in (jobs.wait_at, jobs.block_at)]

    assert await blocked.ended() == 75
    assert f"it runs job {held[1].id} ('tests.chaos.jobs.block_at')" in blocked.output
    assert "time.sleep(0.01)" in blocked.output
    second = await fleet.spawn().serving()
    jobs.open_door(door, second.pid)
    assert [await job.wait(10) for job in held] == [second.pid] * 2
    assert {each.lost for each in checker.check(job.id for job in held).values()} == {1}


@pytest.mark.timeout(40)
async def test_a_worker_that_was_frozen_does_not_take_it_for_a_stall_of_its_loop(
    queue: Queue, fleet: Fleet, checker: Checker
) -> None:
    """Not even when the loop was blocked, for a moment that is allowed, as it was frozen."""
    worker = await fleet.spawn(lease=10, options=["--max-stall", "2"]).serving()
    job = await queue.enqueue(jobs.block, 1.0, job_timeout=2)
    await wait_until(lambda: len(fleet.ledger.starts()) == 1)
    await asyncio.sleep(0.5)
    worker.freeze()
    await asyncio.sleep(3)
    worker.thaw()
    after = await queue.enqueue(jobs.nap, 1.0)

    assert await after.wait(10) == 1.0
    assert worker.code is None, worker.output
    assert "longer than it may be" not in worker.output
    checker.check([job.id, after.id])
