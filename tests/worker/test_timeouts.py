"""A job over its timeout fails at its deadline, whatever its code does then."""

from __future__ import annotations

import time
from typing import Any

import pytest

from aqueue import JobTimeout, Queue, Retry
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import burst, last_line, record, status, working
from tests.worker.jobs import Probe


async def test_a_job_over_its_timeout_is_cancelled_and_failed(queue: Queue) -> None:
    job = await queue.enqueue(tasks.nap, 20, job_timeout=0.1)
    await burst(queue)

    assert await last_line(job) == f"JobTimeout: job '{job.id}' ran longer than its timeout of 0.1 s"
    assert job.exc_info is not None
    assert "in nap" in job.exc_info
    with pytest.raises(JobTimeout):
        await job.wait(0)


async def test_a_job_may_run_without_a_limit(queue: Queue) -> None:
    job = await queue.enqueue(tasks.nap, 0.3, job_timeout=-1)
    await queue.enqueue(tasks.nap, 20, job_timeout=0.05)
    await burst(queue)

    assert await job.wait(0) == 0.3


async def test_each_job_has_its_own_deadline(queue: Queue) -> None:
    naps = [await queue.enqueue(tasks.nap, 20, job_timeout=limit) for limit in (0.3, 0.1, 0.2)]
    await burst(queue)

    for job in naps:
        await job.refresh()
        assert job.ended_at is not None
        assert job.started_at is not None
        took = (job.ended_at - job.started_at).total_seconds()
        assert job.timeout <= took < job.timeout + 1


async def test_a_job_that_swallows_the_cancellation_has_failed_nevertheless(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.swallow_once, probe_name, job_timeout=0.1)
    await burst(queue)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert (probe.notes, job.result) == (["swallowed"], None)


async def test_a_job_cleans_up_with_awaits_before_it_fails(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.clean_up, probe_name, job_timeout=0.1)
    await burst(queue)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert probe.notes == ["cleaned up"]


async def test_a_job_that_cleans_up_for_too_long_is_cancelled_again(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.clean_up_for_ever, probe_name, job_timeout=0.1)
    await burst(queue, cleanup=0.1)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert probe.notes == ["cancelled again"]


async def test_the_timeout_is_what_a_job_failed_of_that_raises_while_it_ends(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.fail_when_cancelled, probe_name, job_timeout=0.1)
    await burst(queue)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert job.exc_info is not None
    assert "ValueError: while ending" in job.exc_info


async def test_a_timeout_uses_up_a_retry(queue: Queue, space: Namespace) -> None:
    job = await queue.enqueue(tasks.nap, 20, job_timeout=0.05, retry=Retry(max=1))
    await burst(queue)

    stored = await record(job, space)
    assert (stored.status, stored.attempts, stored.retries_left) == ("failed", 1, 0)


async def test_a_timeout_can_be_left_out_of_the_retries(queue: Queue, space: Namespace) -> None:
    job = await queue.enqueue(tasks.nap, 20, job_timeout=0.05, retry=Retry(max=3, not_on=(JobTimeout,)))
    await burst(queue)

    assert (await record(job, space)).attempts == 0
    assert await status(job) == "failed"


@pytest.mark.parametrize("func", [jobs.swallow, jobs.hold_thread])
async def test_code_that_does_not_end_keeps_its_slot_after_its_job_has_failed(
    queue: Queue, probe: Probe, probe_name: str, func: Any
) -> None:
    async with working(queue, concurrency=1, cleanup=0.1) as worker:
        job = await queue.enqueue(func, probe_name, job_timeout=0.1)
        with pytest.raises(JobTimeout):
            await job.wait(5)
        after = await queue.enqueue(tasks.add, 1, 2)
        await wait_until(lambda: worker.has_zombies)
        assert await status(after) == "queued"

        probe.open()
        assert await after.wait(5) == 3
        assert not worker.has_zombies


async def test_a_thread_fails_at_its_deadline_although_it_cannot_be_stopped(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.hold_thread, probe_name, job_timeout=0.2)
        began = time.monotonic()
        with pytest.raises(JobTimeout):
            await job.wait(5)

        assert time.monotonic() - began < 1.5
        assert probe.running == 1
        probe.open()


async def test_what_a_zombie_returns_later_changes_nothing(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, cleanup=0.1) as worker:
        late = [
            await queue.enqueue(func, probe_name, job_timeout=0.1)
            for func in (jobs.swallow, jobs.hold_thread)
        ]
        for job in late:
            with pytest.raises(JobTimeout):
                await job.wait(5)
        probe.open()
        await wait_until(lambda: not worker.has_zombies)

    assert [await status(job) for job in late] == ["failed", "failed"]
    assert await queue.failed_job_registry.count() == 2


async def test_a_zombie_is_named_when_the_worker_ends(
    queue: Queue, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue, cleanup=0.1, grace=0):
        job = await queue.enqueue(jobs.swallow, probe_name, job_timeout=0.1)
        with pytest.raises(JobTimeout):
            await job.wait(5)
    probe.open()

    assert f"job {job.id} was given up, but its code still runs" in caplog.text


@pytest.mark.parametrize("waits", [False, True])
async def test_burst_does_not_wait_for_zombies(
    queue: Queue, probe: Probe, probe_name: str, waits: bool
) -> None:
    job = await queue.enqueue(jobs.hold_thread, probe_name, job_timeout=0.1)
    if waits:
        await queue.enqueue(tasks.add, 1, 2)
    await burst(queue, concurrency=1)

    assert await status(job) == "failed"
    assert probe.running == 1
