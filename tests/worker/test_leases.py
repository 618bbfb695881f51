"""A job belongs to whoever holds its lease: nobody else's outcome counts; no lease is given up lightly."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.outcome import Lease
from aqueue._redis import lookups
from aqueue.connection import Namespace
from tests.support import age, beat, claim, wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker, record, recover, take_away, working
from tests.worker.jobs import Probe


@pytest.mark.parametrize("func", [jobs.hold, jobs.hold_thread])
async def test_a_job_that_was_given_to_another_worker_is_ended_here_and_its_outcome_dropped(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, func: Any
) -> None:
    async with working(queue, lease=1) as worker:
        job = await queue.enqueue(func, probe_name)
        await wait_until(lambda: probe.running)
        await take_away(space, job, to="other", lease_ms=30_000)
        await wait_until(lambda: probe.running == 0 or worker.has_zombies, timeout=2)
        probe.open()
        await wait_until(lambda: probe.running == 0)

    stored = await record(job, space)
    assert (stored.status, stored.token.partition(":")[0]) == ("started", "other")
    assert (stored.lost, probe.starts, worker.successful_job_count) == (1, 1, 0)


async def test_a_job_that_lost_its_lease_can_tell_why_it_is_cancelled(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue, lease=1):
        job = await queue.enqueue(jobs.hear_of_the_end, probe_name)
        await wait_until(lambda: probe.running)
        await take_away(space, job, to="other")
        await wait_until(lambda: not probe.running)

    assert probe.notes == ["aqueue: lost", "LeaseLost"]
    assert f"job {job.id}: the lease was lost; it is cancelled here" in caplog.text


async def test_an_outcome_that_comes_before_the_next_beat_is_dropped_too(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue, lease=30) as worker:
        job = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        await take_away(space, job, to="other")
        probe.open()
        await wait_until(lambda: "its outcome is dropped" in caplog.text)

    stored = await record(job, space)
    assert (stored.status, stored.token.partition(":")[0]) == ("started", "other")
    assert worker.successful_job_count == 0


async def test_an_outcome_after_the_deadline_counts_while_nobody_took_the_job(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=30):
        job = await queue.enqueue(jobs.hold, probe_name, "on time")
        await wait_until(lambda: probe.running)
        await age(space, seconds=60)
        probe.open()

        assert await job.wait(5) == "on time"
    assert (await record(job, space)).lost == 0


async def test_a_second_execution_in_the_same_worker_is_not_ended_with_the_first(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    """A worker then holds two leases of one job; its neighbour's token is the same as the first one's."""
    async with working(queue, lease=1):
        job, neighbour = await queue.enqueue_many(
            Queue.prepare_data(jobs.hold, (probe_name, note)) for note in ("result", "neighbour")
        )
        await wait_until(lambda: probe.running == 2)
        await take_away(space, job, lease_ms=1_000)
        await wait_until(lambda: probe.starts == 3)
        await wait_until(lambda: probe.running == 2, description="the end of the first execution")
        before = await _deadline(space, job.id)
        await wait_until(lambda: _later(space, job.id, before + 300))
        probe.open()

        assert [await each.wait(5) for each in (job, neighbour)] == ["result", "neighbour"]
    stored = await record(job, space)
    assert (stored.lost, stored.fence, probe.starts) == (1, 2, 3)


async def test_a_beat_that_tells_of_an_earlier_lease_does_not_end_the_present_execution(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    """Between a beat and its reply a job can be retried and claimed again."""
    async with working(queue) as worker:
        job = await queue.enqueue(jobs.hold, probe_name, "result")
        await wait_until(lambda: probe.running)
        assert worker._run is not None
        [execution] = worker._run.running
        worker._run._heard([(Lease(execution.lease.record, "an earlier token"), "lost")])
        probe.open()

        assert await job.wait(5) == "result"


async def _deadline(space: Namespace, job_id: str) -> float:
    found = await space.client.read(lookups.score(space.keys, "started", "default", job_id))
    assert found is not None
    return found


async def _extended(space: Namespace, job_id: str, first: float) -> None:
    await wait_until(lambda: _later(space, job_id, first + 100), timeout=2)


async def _later(space: Namespace, job_id: str, than: float) -> bool:
    return await _deadline(space, job_id) > than


async def test_leases_are_extended_before_they_pass(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1):
        held = [await queue.enqueue(func, probe_name) for func in (jobs.hold, jobs.hold_thread)]
        await wait_until(lambda: probe.running == 2)
        for job in held:
            first = await _deadline(space, job.id)
            await _extended(space, job.id, first)
        probe.open()


async def test_a_lease_is_kept_while_the_job_cleans_up(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1, cleanup=3):
        job = await queue.enqueue(jobs.clean_up_for_ever, probe_name)
        await wait_until(lambda: probe.running)
        await job.stop()
        first = await _deadline(space, job.id)
        await wait_until(lambda: _later(space, job.id, first + 1000), timeout=3)


async def test_a_blocked_event_loop_keeps_its_leases(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    """The blocked worker has a loop of its own, in a thread; another one would recover its jobs."""
    blocked = make_worker(queue, lease=1)
    thread = threading.Thread(target=lambda: asyncio.run(blocked.work(max_jobs=2)))
    thread.start()
    neighbour = await queue.enqueue(jobs.hold, probe_name, "neighbour")
    await wait_until(lambda: probe.running)
    job = await queue.enqueue(jobs.block, probe_name, 4.0)
    await wait_until(lambda: probe.starts == 2)
    probe.open()
    async with working(queue, lease=1):
        assert await job.wait(10) == "blocked"
        assert await neighbour.wait(5) == "neighbour"
    await asyncio.to_thread(thread.join, 10)

    assert probe.starts == 2
    assert [(await record(each, space)).lost for each in (job, neighbour)] == [0, 0]


async def test_a_recovered_job_is_run_by_whoever_is_there(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.hold, probe_name, "again")
    probe.open()
    await claim(space, worker_id="dead", lease_ms=1_000)
    await age(space, seconds=60)
    await beat(space)
    async with working(queue):
        await recover(space)
        assert await job.wait(5) == "again"
    assert (await record(job, space)).lost == 1
