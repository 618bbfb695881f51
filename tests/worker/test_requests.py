"""stop() and cancel() of running jobs: heard at once, and at the next beat when the message is lost."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from aqueue import Job, JobCanceled, JobStopped, Queue
from aqueue.connection import Namespace
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import record, status, take_away, working
from tests.worker.jobs import Probe

#: What is asked, and how the job ends.
REQUESTS = [("stop", JobStopped), ("cancel", JobCanceled)]
#: A coroutine and a thread.
HELD = [jobs.hold, jobs.hold_thread]


async def ask(job: Job[Any], request: str) -> None:
    await (job.stop() if request == "stop" else job.cancel())


@pytest.mark.parametrize("func", HELD)
@pytest.mark.parametrize(("request_", "error"), REQUESTS)
async def test_a_running_job_ends_within_half_a_second_of_the_request(
    queue: Queue, probe: Probe, probe_name: str, func: Any, request_: str, error: type[JobCanceled]
) -> None:
    async with working(queue):
        job = await queue.enqueue(func, probe_name)
        await wait_until(lambda: probe.running)

        began = time.monotonic()
        await ask(job, request_)
        with pytest.raises(JobCanceled) as caught:
            await job.wait(5)
        assert time.monotonic() - began < 0.5
        assert type(caught.value) is error
        probe.open()


@pytest.mark.parametrize(("request_", "ends"), [("stop", "stopped"), ("cancel", "canceled")])
async def test_a_request_whose_message_was_lost_comes_with_the_next_beat(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str, request_: str, ends: str
) -> None:
    async with working(queue, lease=1):
        job = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        db.hset(space.keys.job(job.id), "request", request_)

        await wait_until(lambda: not probe.running, timeout=2)
        await wait_until(lambda: db.hget(space.keys.job(job.id), "status") == ends.encode())


async def test_a_stopped_job_lies_in_the_failed_registry_and_a_canceled_one_does_not(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        stopped = await queue.enqueue(jobs.hold, probe_name)
        canceled = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running == 2)
        await stopped.stop()
        await canceled.cancel()
        await wait_until(lambda: probe.running == 0)

    assert await queue.failed_job_registry.get_job_ids() == [stopped.id]
    assert await queue.canceled_job_registry.get_job_ids() == [canceled.id]
    assert await queue.started_job_registry.count() == 0


async def test_neighbours_go_on(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue):
        held = [await queue.enqueue(jobs.hold, probe_name, number) for number in range(3)]
        await wait_until(lambda: probe.running == 3)
        await held[1].stop()
        await wait_until(lambda: probe.running == 2)
        probe.open()

        assert [await held[number].wait(5) for number in (0, 2)] == [0, 2]


async def test_a_stopped_job_cleans_up_first(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, cleanup=2):
        job = await queue.enqueue(jobs.clean_up, probe_name)
        await wait_until(lambda: probe.running)
        await job.stop()
        with pytest.raises(JobStopped):
            await job.wait(5)

    assert probe.notes == ["cleaned up"]


async def test_a_job_that_swallows_the_stop_and_returns_is_stopped(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.swallow_once, probe_name)
        await wait_until(lambda: probe.running)
        await job.stop()
        with pytest.raises(JobStopped):
            await job.wait(5)

    assert job.result is None


async def test_requests_that_are_repeated_do_not_put_off_the_end(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str
) -> None:
    """Each beat brings the request again: several of them within the cleanup time."""
    async with working(queue, lease=1, cleanup=0.8):
        job = await queue.enqueue(jobs.swallow, probe_name)
        await wait_until(lambda: probe.running)
        await job.stop()
        with pytest.raises(JobStopped):
            await job.wait(2.5)
        probe.open()


async def test_the_first_request_counts(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, cleanup=2):
        job = await queue.enqueue(jobs.clean_up, probe_name)
        await wait_until(lambda: probe.running)
        await job.stop()
        await job.cancel()
        with pytest.raises(JobStopped):
            await job.wait(5)


async def test_a_request_holds_although_the_lease_is_lost(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        db.hset(space.keys.job(job.id), "request", "cancel")
        await take_away(space, job)
        probe.open()
        await wait_until(lambda: not probe.running)

    stored = await record(job, space)
    assert (stored.status, probe.starts) == ("canceled", 1)


async def test_the_worker_goes_on_after_messages_that_mean_nothing(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str
) -> None:
    async with working(queue) as worker:
        job = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        about_it = f"dance {job.id}".encode(), f"lost {job.id}".encode()
        for message in (b"", b"stop", b"stop no-such-job", b"\xff\xfe", b"x" * 9999, *about_it):
            db.publish(space.keys.commands_channel(worker.id), message)
        probe.open()

        await job.wait(5)
        assert await status(job) == "finished"


async def test_the_log_tells_of_a_request_that_came_while_the_job_ended(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker has not heard of it yet, and wants to run the job again."""
    caplog.set_level(logging.INFO, "aqueue.worker")
    async with working(queue):
        job = await queue.enqueue(jobs.hold_and_fail, probe_name, retry=3)
        await wait_until(lambda: probe.running)
        db.hset(space.keys.job(job.id), "request", "cancel")
        probe.open()
        await wait_until(lambda: f"job {job.id} canceled: it was asked to end" in caplog.text)

    assert await status(job) == "canceled"
    assert "next in" not in caplog.text
