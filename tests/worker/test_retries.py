"""Retries: how often, when, and on what."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import JobStopped, Queue, Retry
from aqueue.connection import Namespace
from tests.support import age, wait_until
from tests.worker import jobs
from tests.worker.hands import burst, last_line, record, working
from tests.worker.jobs import Probe


async def delay(space: Namespace, db: Any, job_id: str) -> float:
    """Seconds between the end of the last execution and the retry."""
    stored = await record(job_id, space)
    due = db.zscore(space.keys.registry("scheduled", "default"), job_id)
    assert stored.status == "scheduled"
    seconds, micros = db.time()
    return float(due - (seconds * 1000 + micros / 1000)) / 1000


async def test_a_job_runs_again_until_it_finishes(queue: Queue, probe: Probe, probe_name: str) -> None:
    job = await queue.enqueue(jobs.fail_twice, probe_name, retry=Retry(max=5))
    await burst(queue)

    assert (await job.wait(0), probe.starts, job.retries_left) == (3, 3, 3)


async def test_a_job_fails_when_its_retries_are_used_up(queue: Queue, probe: Probe, probe_name: str) -> None:
    job = await queue.enqueue(jobs.fail_twice, probe_name, retry=Retry(max=1))
    await burst(queue)

    assert await last_line(job) == "ValueError: start 2"
    assert (probe.starts, job.retries_left) == (2, 0)


async def test_without_retry_a_job_fails_at_once(queue: Queue, probe: Probe, probe_name: str) -> None:
    job = await queue.enqueue(jobs.fail_twice, probe_name)
    await burst(queue)

    assert (await last_line(job), job.retries_left) == ("ValueError: start 1", None)


async def test_each_retry_waits_its_own_interval_and_the_last_one_repeats(
    queue: Queue, space: Namespace, db: Any
) -> None:
    job = await queue.enqueue(jobs.fail_with, "ValueError", "again", retry=Retry(max=4, interval=[100, 300]))
    for expected in (100, 300, 300, 300):
        await burst(queue)
        assert expected - 5 < await delay(space, db, job.id) <= expected
        await age(space, seconds=400)
    await burst(queue)

    assert await last_line(job) == "ValueError: again"


async def test_waits_grow_with_backoff_up_to_the_longest(queue: Queue, space: Namespace, db: Any) -> None:
    job = await queue.enqueue(
        jobs.fail_with,
        "ValueError",
        "again",
        retry=Retry(max=4, interval=100, backoff=2, max_interval=300),
    )
    for expected in (100, 200, 300):
        await burst(queue)
        assert expected - 5 < await delay(space, db, job.id) <= expected
        await age(space, seconds=400)


@pytest.mark.parametrize(
    ("policy", "retried"),
    [
        (Retry(max=1, on=(OSError,)), True),
        (Retry(max=1, on=(Exception,)), True),
        (Retry(max=1, on=("OSError",)), True),
        (Retry(max=1, on=(ValueError,)), False),
        (Retry(max=1, not_on=(OSError,)), False),
        (Retry(max=1, on=(OSError,), not_on=(Exception,)), False),
        (Retry(max=1, not_on=(ValueError,)), True),
    ],
)
async def test_only_the_exceptions_that_the_policy_covers_are_retried(
    queue: Queue, space: Namespace, policy: Retry, retried: bool
) -> None:
    job = await queue.enqueue(jobs.fail_with, "OSError", "no disk", retry=policy)
    await burst(queue)

    stored = await record(job, space)
    assert (stored.status, stored.attempts) == ("failed", 1 if retried else 0)


async def test_a_retried_execution_stays_in_the_history(queue: Queue, probe: Probe, probe_name: str) -> None:
    job = await queue.enqueue(jobs.fail_twice, probe_name, retry=2)
    await burst(queue)

    results = await job.results()
    assert [result.return_value for result in results][:1] == [3]
    assert [(result.exc_string or "").splitlines()[-1] for result in results[1:]] == [
        "ValueError: start 2",
        "ValueError: start 1",
    ]


async def test_a_stopped_job_does_not_run_again(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.hold, probe_name, retry=3)
        await wait_until(lambda: probe.running)
        await job.stop()
        with pytest.raises(JobStopped):
            await job.wait(5)

    stored = await record(job, space)
    assert (stored.status, stored.attempts, probe.starts) == ("stopped", 0, 1)


async def test_a_job_that_raises_while_it_is_canceled_is_canceled_and_not_retried(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.fail_when_cancelled, probe_name, retry=3)
        await wait_until(lambda: probe.running)
        await job.cancel()
        await wait_until(lambda: not probe.running)

    stored = await record(job, space)
    assert (stored.status, stored.attempts, probe.starts) == ("canceled", 0, 1)


@pytest.mark.parametrize(("request_", "ends"), [("cancel", "canceled"), ("stop", "stopped")])
async def test_a_request_that_its_worker_has_not_heard_of_wins_over_the_retry(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str, request_: str, ends: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.hold_and_fail, probe_name, retry=3)
        await wait_until(lambda: probe.running)
        db.hset(space.keys.job(job.id), "request", request_)
        probe.open()
        await wait_until(lambda: not probe.running)

    stored = await record(job, space)
    assert (stored.status, stored.attempts, probe.starts) == (ends, 0, 1)
