"""SIGTERM at any moment: jobs finish or are given back, and the process ends with a defined code."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from pathlib import Path

import pytest

from aqueue import Queue
from tests.chaos import jobs
from tests.chaos.checker import Checker
from tests.chaos.procs import Fleet
from tests.servers import Server
from tests.support import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.timeout(40)
async def test_jobs_finish_inside_the_grace_and_none_is_run_again(
    queue: Queue, fleet: Fleet, checker: Checker
) -> None:
    naps = [
        await queue.enqueue(func, seconds)
        for func in (jobs.nap, jobs.nap_in_thread)
        for seconds in (0.5, 1.0, 1.5)
    ]
    worker = await fleet.spawn(grace=10).serving()
    await wait_until(lambda: len(fleet.ledger.starts()) == 6)
    worker.terminate()

    assert await worker.ended() == 0
    records = checker.check(job.id for job in naps)
    assert {str(record.status) for record in records.values()} == {"finished"}
    assert set(fleet.ledger.starts().values()) == {1}
    assert "Traceback" not in worker.output


@pytest.mark.timeout(40)
async def test_jobs_that_exceed_the_grace_run_again_elsewhere_with_their_retries(
    queue: Queue, fleet: Fleet, checker: Checker, tmp_path: Path
) -> None:
    door = str(tmp_path / "door")
    first = await fleet.spawn(grace=0.5).serving()
    held = [await queue.enqueue(jobs.wait_at, door, retry=1) for _ in range(3)]
    await wait_until(lambda: len(fleet.ledger.starts()) == 3)
    began = time.monotonic()
    first.terminate()

    assert await first.ended() == 0
    assert time.monotonic() - began < 0.5 + 4
    second = await fleet.spawn(grace=0.5).serving()
    jobs.open_door(door, second.pid)
    assert {await job.wait(10) for job in held} == {second.pid}
    for record in checker.check(job.id for job in held).values():
        assert (record.releases, record.attempts, record.lost, record.retries_left) == (1, 0, 0, 1)


@pytest.mark.timeout(40)
async def test_a_thread_that_exceeds_the_grace_does_not_hold_up_the_end(
    queue: Queue, fleet: Fleet, checker: Checker
) -> None:
    worker = await fleet.spawn(grace=0.1).serving()
    job = await queue.enqueue(jobs.nap_in_thread, 30)
    await wait_until(lambda: fleet.ledger.starts()[job.id])
    began = time.monotonic()
    worker.terminate()

    assert await worker.ended() == 0
    assert time.monotonic() - began < 0.1 + 5 + 3  # grace, cleanup
    assert await job.get_status() == "queued"


@pytest.mark.timeout(40)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_skips_the_grace(
    queue: Queue, fleet: Fleet, tmp_path: Path, second: signal.Signals
) -> None:
    worker = await fleet.spawn(grace=30).serving()
    job = await queue.enqueue(jobs.wait_at, str(tmp_path / "door"))
    await wait_until(lambda: fleet.ledger.starts()[job.id])
    worker.terminate()
    await wait_until(lambda: "no new jobs" in worker.output)
    began = time.monotonic()
    worker.send(second)

    assert await worker.ended() == 130
    assert time.monotonic() - began < 4
    assert await job.get_status() == "queued"
    assert "Traceback" not in worker.output


@pytest.mark.timeout(60)
async def test_a_worker_that_is_terminated_while_it_starts_ends_quietly(
    queue: Queue, fleet: Fleet, dice: random.Random
) -> None:
    for _ in range(12):
        worker = fleet.spawn()
        await asyncio.sleep(dice.uniform(0, 0.3) if dice.random() < 0.5 else dice.uniform(0.3, 0.9))
        worker.terminate()
        code = await worker.ended()

        assert code in (0, -signal.SIGTERM), worker.output
        assert "Traceback" not in worker.output
    assert await queue.count() == 0


@pytest.mark.timeout(40)
async def test_workers_that_are_replaced_one_after_the_other_lose_no_job(
    queue: Queue, fleet: Fleet, checker: Checker, dice: random.Random
) -> None:
    naps = await queue.enqueue_many(
        Queue.prepare_data(jobs.nap, (dice.uniform(0.05, 0.4),)) for _ in range(80)
    )
    for worker in [fleet.spawn(grace=0.1), fleet.spawn(grace=0.1)]:
        await worker.serving()
    for worker in list(fleet.workers):
        worker.terminate()
        assert await worker.ended() == 0
        await fleet.spawn(grace=0.1).serving()
    await wait_until(lambda: checker.ended() >= 80, timeout=20)

    records = checker.check(job.id for job in naps)
    assert {str(record.status) for record in records.values()} == {"finished"}
    assert sum(record.lost + record.attempts for record in records.values()) == 0


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_worker_whose_job_does_not_end_exits_also_while_redis_is_away(
    queue: Queue, fleet: Fleet, server: Server, tmp_path: Path
) -> None:
    worker = await fleet.spawn(grace=0.5).serving()
    await queue.enqueue(jobs.nap_in_thread, 3600)
    await wait_until(lambda: len(fleet.ledger.starts()) == 1)
    server.kill()
    worker.terminate()

    assert await worker.ended(timeout=45) == 0  # its thread would keep the process for an hour
