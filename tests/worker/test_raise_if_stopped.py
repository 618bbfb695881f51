"""`raise_if_stopped()`: how code that nothing interrupts learns that it is to end, and why."""

from __future__ import annotations

import pytest

from aqueue import AqueueError, Job, JobInterrupted, JobTimeout, Queue
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import burst, record, status, take_away, working
from tests.worker.jobs import Probe


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_a_thread_over_its_timeout_ends_itself_and_frees_its_slot(
    queue: Queue, probe: Probe, probe_name: str, way: str
) -> None:
    async with working(queue, concurrency=1) as worker:
        job = await queue.options(job_timeout=0.1).enqueue(jobs.look_whether_stopped, probe_name, way)
        with pytest.raises(JobTimeout):
            await job.wait(5)
        after = await queue.enqueue(tasks.add, 1, 2)

        assert await after.wait(5) == 3
        assert (probe.notes, worker.has_zombies) == ([(job.id, "timeout")], False)


async def test_a_thread_is_told_of_a_stop_and_of_a_cancel(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        for count, verb in enumerate(("stop", "cancel"), 1):
            job = await queue.enqueue(jobs.look_whether_stopped, probe_name)
            await wait_until(lambda: probe.running)
            await (job.stop() if verb == "stop" else job.cancel())
            await wait_until(lambda count=count: len(probe.notes) == count)  # type: ignore[misc]

    assert [reason for _, reason in probe.notes] == ["stop", "cancel"]


async def test_a_thread_is_told_of_the_shutdown_after_the_grace_and_given_back(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, grace=0, cleanup=5):
        job = await queue.enqueue(jobs.look_whether_stopped, probe_name)
        await wait_until(lambda: probe.running)

    assert probe.notes == [(job.id, "shutdown")]
    stored = await record(job, space)
    assert (stored.status, stored.releases, stored.attempts) == ("queued", 1, 0)


async def test_a_thread_is_told_that_its_lease_is_lost(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1):
        job = await queue.enqueue(jobs.look_whether_stopped, probe_name)
        await wait_until(lambda: probe.running)
        await take_away(space, job, to="another")
        await wait_until(lambda: probe.notes)

    assert probe.notes == [(job.id, "lost")]
    assert await status(job) == "started"


async def test_a_coroutine_that_swallowed_the_cancellation_is_told(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.swallow_and_look, probe_name, job_timeout=0.1)
    await burst(queue)

    assert probe.notes == [(job.id, "timeout")]
    assert await status(job) == "failed"


async def test_a_handle_of_a_job_that_runs_elsewhere_never_raises(queue: Queue) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)
    await job.cancel()

    (await Job.fetch(job.id)).raise_if_stopped()


def test_it_passes_through_except_exception() -> None:
    error = JobInterrupted("a", "stop")

    assert not isinstance(error, Exception | AqueueError)
    assert (str(error), error.job_id, error.reason) == ("job 'a' was asked to end: stop", "a", "stop")
