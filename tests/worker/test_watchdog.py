"""Code that blocks the event loop is named; past the limit its worker holds on to its jobs no longer."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import pytest

from aqueue import Job, Queue, Worker
from aqueue._redis import lookups
from aqueue.connection import Namespace
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker, record, working
from tests.worker.jobs import Probe


@contextmanager
def working_elsewhere(queue: Queue, *, max_stall: float = 60, **options: Any) -> Generator[Worker]:
    """A worker with a loop of its own, in a thread: its jobs may block it."""
    worker = make_worker(queue, lease=1, **options)
    worker.settings = dataclasses.replace(worker.settings, stall_warning=0.2, max_stall=max_stall)
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        await worker.work()

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    try:
        yield worker
    finally:
        if worker._run is not None:
            loops[0].call_soon_threadsafe(worker._run.ask_to_stop)
        thread.join(20)


async def block(queue: Queue, probe: Probe, name: str, **options: Any) -> Job[Any]:
    job: Job[Any] = await queue.enqueue(jobs.hold_the_loop, name, **options)
    await wait_until(lambda: probe.running)
    return job


def warnings(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    return [record for record in list(caplog.records) if text in record.getMessage()]


async def deadline(space: Namespace, job: Job[Any]) -> float:
    found = await space.client.read(lookups.score(space.keys, "started", "default", job.id))
    assert found is not None
    return found


async def test_a_blocked_loop_is_logged_with_the_job_and_the_stack_that_blocks_it(
    queue: Queue, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working_elsewhere(queue):
        job = await block(queue, probe, probe_name)
        await wait_until(lambda: warnings(caplog, "the event loop is blocked"))
        probe.open()
        await wait_until(lambda: warnings(caplog, "the event loop goes on after 0."))
        assert await job.wait(5) == "blocked"

    first = warnings(caplog, "the event loop is blocked")[0]
    assert first.levelno == logging.WARNING
    assert first.getMessage().endswith(f"job {job.id} ('tests.worker.jobs.hold_the_loop')")
    assert first.stack_info is not None
    lines = first.stack_info.splitlines()
    assert "in hold_the_loop" in lines[0], lines  # what is ours, and asyncio's, is left out
    assert any("in wait_at_the_door" in line for line in lines)
    assert "return probes[name].door.wait(20)" in first.stack_info


async def test_a_stall_that_lasts_is_logged_at_growing_intervals(
    queue: Queue, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working_elsewhere(queue) as worker:
        await block(queue, probe, probe_name)
        assert worker._run is not None
        await wait_until(lambda: worker._run and worker._run._watchdog._stall > 2)
        probe.open()

    assert 3 <= len(warnings(caplog, "the event loop is blocked")) <= 4  # at 0.2, 0.4, 0.8 and 1.6 s


async def test_a_loop_that_is_only_busy_is_not_logged(
    queue: Queue, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working_elsewhere(queue, concurrency=1):
        for job in [await queue.enqueue(jobs.block, probe_name, 0.05) for _ in range(10)]:
            await job.wait(10)

    assert not warnings(caplog, "event loop")


async def test_past_the_limit_others_get_the_jobs_and_the_program_around_goes_on(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working_elsewhere(queue, max_stall=1) as blocked:
        job = await block(queue, probe, probe_name, job_timeout=0.5)
        await wait_until(lambda: warnings(caplog, "longer than it may be"))
        [info] = await space.client.read(lookups.workers(space.keys, [blocked.id]))
        assert info["state"] == "stalled"
        with working_elsewhere(queue) as second:
            await wait_until(lambda: probe.starts == 2, timeout=5)
            probe.open()
            assert await job.wait(5) == "blocked"
        await wait_until(lambda: warnings(caplog, "jobs that others took meanwhile"))
        await wait_until(lambda: probe.running == 0)

    stored = await record(job, space)
    assert (stored.status, stored.lost, stored.worker_name) == ("finished", 1, second.id)
    assert blocked.successful_job_count == 0
    assert warnings(caplog, "longer than it may be")[0].stack_info


async def test_a_worker_whose_loop_goes_on_keeps_the_jobs_that_nobody_took(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with working_elsewhere(queue, max_stall=1):
        job = await block(queue, probe, probe_name, job_timeout=0.5)
        await wait_until(lambda: warnings(caplog, "longer than it may be"))
        probe.open()
        neighbour = await queue.enqueue(jobs.give, 1)
        assert await neighbour.wait(5) == 1
        await job.refresh()

    assert job.ended_at is not None
    assert (await record(job, space)).lost == 0


async def test_the_limit_is_never_below_the_longest_timeout_of_the_running_jobs(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, max_stall=2) as worker:
        assert worker._run is not None
        watchdog = worker._run._watchdog
        assert watchdog._limit() == 2
        await queue.enqueue(jobs.hold, probe_name, job_timeout=1)
        await queue.enqueue(jobs.hold_thread, probe_name, job_timeout=50)
        await wait_until(lambda: probe.running == 2)
        assert watchdog._limit() == 50
        endless = await queue.enqueue(jobs.hold, probe_name, job_timeout=-1)
        await wait_until(lambda: probe.running == 3)
        assert watchdog._limit() == float("inf")
        await endless.cancel()
        await wait_until(lambda: probe.running == 2)
        assert watchdog._limit() == 50
        probe.open()


async def test_somebody_in_a_debugger_is_not_disturbed(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    waiting = FunctionType(jobs.wait_at_the_door.__code__, {"__name__": "pdb", "probes": jobs.probes})
    monkeypatch.setattr(jobs, "wait_at_the_door", waiting)
    with working_elsewhere(queue, max_stall=1):
        job = await block(queue, probe, probe_name, job_timeout=0.5)
        await wait_until(lambda: len(warnings(caplog, "the event loop is blocked")) == 4)
        before = await deadline(space, job)
        await wait_until(lambda: later(space, job, before))
        probe.open()

    told = [record.getMessage() for record in warnings(caplog, "longer than it may be")]
    assert not [message for message in told if job.id in message]


async def later(space: Namespace, job: Job[Any], than: float) -> bool:
    return await deadline(space, job) > than


async def test_a_log_that_nobody_reads_does_not_cost_the_leases(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    class Full(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "is blocked" in record.getMessage():
                stuck.set()
                probe.door.wait(20)

    stuck = threading.Event()
    handler = Full()
    logging.getLogger("aqueue.worker").addHandler(handler)
    try:
        with working_elsewhere(queue):
            job = await block(queue, probe, probe_name)
            await wait_until(stuck.is_set)
            before = await deadline(space, job)
            await wait_until(lambda: later(space, job, before + 600))
            probe.open()
    finally:
        logging.getLogger("aqueue.worker").removeHandler(handler)


async def test_the_watchdog_ends_with_its_worker(queue: Queue) -> None:
    async with working(queue):
        pass

    assert not [thread for thread in threading.enumerate() if thread.name == "aqueue-watchdog"]
