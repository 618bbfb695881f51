"""Results, their history, requeue, delete, stop and cancel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import (
    InvalidJobOperation,
    Job,
    JobFailed,
    NoSuchJobError,
    PayloadError,
    Queue,
    Result,
    Retry,
    Worker,
    requeue_job,
)
from tests.api import jobs
from tests.servers import Server
from tests.support import age, claim, wait_until


async def ended(queue: Queue, func: Any, *args: Any, **options: Any) -> Job[Any]:
    """A job that a worker has run."""
    job = await queue.options(**options).enqueue(func, *args)
    async with Worker([queue], name="me").running():
        try:
            await job.wait(10)
        except JobFailed:
            pass
    await job.refresh()
    return job


async def test_return_value_is_none_before_the_end(queue: Queue) -> None:
    job = await queue.enqueue(jobs.say_hello, "you")

    assert await job.return_value() is None
    assert await job.latest_result() is None
    assert await job.results() == []
    await Worker([queue]).work(burst=True)
    assert await job.return_value() == "Hi there, you!"
    assert job.result == "Hi there, you!"


async def test_the_latest_result_tells_how_a_job_finished(queue: Queue) -> None:
    job = await ended(queue, jobs.say_hello, "you")

    result = await job.latest_result()

    assert result is not None
    assert (result.job_id, result.type, result.return_value) == (
        job.id,
        Result.Type.SUCCESSFUL,
        "Hi there, you!",
    )
    assert (result.exc_string, result.worker_name) == (None, "me")
    assert result.execution_started_at is not None
    assert result.created_at is not None
    assert result.execution_started_at <= result.created_at == result.execution_ended_at
    assert abs(result.created_at - datetime.now(UTC)) < timedelta(seconds=30)


async def test_the_latest_result_tells_why_a_job_failed(queue: Queue) -> None:
    job = await ended(queue, jobs.fail_with, "no words")

    result = await job.latest_result()

    assert result is not None
    assert (result.type, result.return_value) == (Result.Type.FAILED, None)
    assert result.exc_string is not None
    assert result.exc_string == job.exc_info
    assert result.exc_string.endswith("ValueError: no words")


async def test_the_latest_result_is_waited_for(queue: Queue) -> None:
    job = await queue.enqueue(jobs.say_hello)
    assert await job.latest_result(timeout=0.05) is None
    waiting = asyncio.create_task(job.latest_result(timeout=10))
    await Worker([queue]).work(burst=True)

    result = await waiting

    assert result is not None
    assert result.return_value == "Hi there, Stranger!"


async def test_canceled_and_expired_jobs_have_results_of_their_own_kind(queue: Queue) -> None:
    canceled = await queue.enqueue(jobs.nothing)
    await canceled.cancel()
    expired = await queue.enqueue(jobs.nothing, ttl=5)
    await age(queue.space, seconds=6)
    await Worker([queue]).work(burst=True)

    kinds = [(await job.results())[0].type for job in (canceled, expired)]
    assert kinds == [Result.Type.CANCELED, Result.Type.EXPIRED]


async def test_each_retry_leaves_a_result(queue: Queue) -> None:
    job = await ended(queue, jobs.div_by_zero, 1, retry=Retry(max=2))

    results = await job.results()

    assert [result.type.name for result in results] == ["FAILED", "RETRIED", "RETRIED"]
    assert all(
        (result.exc_string or "").endswith("ZeroDivisionError: division by zero") for result in results
    )
    assert job.retries_left == 0


async def test_the_last_ten_results_are_kept_newest_first(queue: Queue) -> None:
    job = await queue.enqueue(jobs.count_up)
    for _ in range(12):
        await Worker([queue]).work(burst=True)
        await job.requeue()
    await Worker([queue]).work(burst=True)

    results = await job.results()

    values = [result.return_value for result in results]
    assert values == list(range(values[0], values[0] - 10, -1))
    ends = [result.created_at for result in results]
    assert ends == sorted(ends, key=lambda end: end or datetime.now(UTC), reverse=True)


async def test_a_requeued_job_starts_with_all_its_retries_and_its_whole_ttl(queue: Queue) -> None:
    job = await ended(queue, jobs.div_by_zero, 1, retry=Retry(max=2), ttl=60, failure_ttl=300)
    assert job.retries_left == 0

    await job.requeue()
    await job.refresh()

    assert (job.status, job.retries_left, job.exc_info, job.ended_at, job.started_at) == (
        "queued", 2, None, None, None,
    )  # fmt: skip
    await age(queue.space, seconds=50)
    assert await queue.count() == 1
    await age(queue.space, seconds=11)
    assert await queue.count() == 0
    assert [result.type.name for result in await job.results()] == ["FAILED", "RETRIED", "RETRIED"]


async def test_a_requeued_job_is_kept_for_as_long_as_it_waits(queue: Queue, stored: Any) -> None:
    job = await ended(queue, jobs.say_hello, result_ttl=5)
    await job.requeue()
    await age(queue.space, seconds=86_400 * 3)

    assert await queue.get_job_ids() == [job.id]
    assert job.result is None
    assert await job.return_value() is None
    assert f"result:{job.id}" not in stored()


@pytest.mark.parametrize("way", ["finished", "failed", "canceled", "expired", "stopped"])
async def test_every_ended_job_can_be_requeued(queue: Queue, way: str) -> None:
    job = await end_as(queue, way)
    assert job.status == way

    again = await requeue_job(job.id)

    assert again.status == "queued"
    assert await queue.get_job_ids() == [job.id]
    for registry in (queue.finished_job_registry, queue.failed_job_registry, queue.canceled_job_registry):
        assert await registry.count() == 0


async def end_as(queue: Queue, way: str) -> Job[Any]:
    match way:
        case "finished":
            return await ended(queue, jobs.nothing)
        case "failed":
            return await ended(queue, jobs.div_by_zero, 1)
        case "canceled":
            job = await queue.enqueue(jobs.nothing)
            await job.cancel()
        case "expired":
            job = await queue.enqueue(jobs.nothing, ttl=5)
            await age(queue.space, seconds=6)
            await Worker([queue]).work(burst=True)
        case _:
            job = await queue.enqueue(jobs.sleep_for_ever)
            async with Worker([queue]).running():
                await wait_until(lambda: has(job, "started"))
                await job.stop()
                await wait_until(lambda: has(job, "stopped"))
    await job.refresh()
    return job


async def has(job: Job[Any], status: str) -> bool:
    return await job.get_status() == status


@pytest.mark.parametrize("status", ["created", "queued", "scheduled", "started"])
async def test_only_ended_jobs_can_be_requeued(queue: Queue, status: str) -> None:
    job = await waiting_as(queue, status)

    with pytest.raises(InvalidJobOperation, match=f"cannot requeue job '{job.id}': it is {status}") as caught:
        await job.requeue()

    assert (caught.value.verb, caught.value.status) == ("requeue", status)
    assert await job.get_status() == status


async def waiting_as(queue: Queue, status: str) -> Job[Any]:
    if status == "created":
        return await Job.create(jobs.nothing).save()
    if status == "scheduled":
        return await queue.enqueue_in(60, jobs.nothing)
    job = await queue.enqueue(jobs.nothing)
    if status == "started":
        await claim(queue.space)
    return job


@pytest.mark.parametrize("way", ["finished", "failed", "canceled"])
async def test_an_ended_job_cannot_be_canceled_or_stopped(queue: Queue, way: str) -> None:
    job = await end_as(queue, way)

    with pytest.raises(InvalidJobOperation, match=f"cannot cancel job '{job.id}': it is {way}"):
        await job.cancel()
    with pytest.raises(InvalidJobOperation, match=f"cannot stop job '{job.id}': it is {way}"):
        await job.stop()
    with pytest.raises(InvalidJobOperation, match=f"it is {way}"):
        await queue.remove(job)


@pytest.mark.parametrize("status", ["created", "queued", "scheduled"])
async def test_a_waiting_job_is_canceled_within_the_call(queue: Queue, status: str) -> None:
    job = await waiting_as(queue, status)

    await job.cancel()

    assert job.status == "canceled"
    assert await queue.canceled_job_registry.contains(job)
    assert (await queue.count(), await queue.scheduled_job_registry.count()) == (0, 0)


async def test_a_request_to_cancel_a_running_job_is_recorded_at_once(queue: Queue) -> None:
    job = await waiting_as(queue, "started")

    await job.cancel()
    await job.cancel()

    assert await job.get_status() == "started"


async def test_remove_from_a_queue_cancels(queue: Queue) -> None:
    one, two = await queue.enqueue(jobs.nothing), await queue.enqueue(jobs.nothing)

    await queue.remove(one)
    await queue.remove(two.id)

    assert await queue.canceled_job_registry.count() == 2
    with pytest.raises(NoSuchJobError, match="nobody"):
        await queue.remove("nobody")


async def test_a_history_that_others_wrote_is_damaged(queue: Queue, server: Server) -> None:
    job = await ended(queue, jobs.say_hello)
    parts = [b"levitated", b"", b"", b"", b"", b"", b""]
    entry = b"".join(b"%d:%s" % (len(part), part) for part in parts)
    server.client().lpush(queue.space.keys.history(job.id), entry)

    with pytest.raises(PayloadError, match=f"the history of job '{job.id}' is damaged"):
        await job.results()


async def test_delete_removes_a_job_with_its_result_and_history(queue: Queue, stored: Any) -> None:
    job = await ended(queue, jobs.say_hello)
    await job.requeue()
    await Worker([queue]).work(burst=True)
    assert f"history:{job.id}" in stored()

    await job.delete()

    assert not any(job.id in key for key in stored())
    assert await queue.finished_job_registry.count() == 0
    with pytest.raises(NoSuchJobError):
        await job.delete()


async def test_a_running_job_cannot_be_deleted(queue: Queue) -> None:
    job = await waiting_as(queue, "started")

    with pytest.raises(InvalidJobOperation, match=f"cannot delete job '{job.id}': it is started"):
        await job.delete()


async def test_results_are_kept_as_long_as_their_ttl_says(queue: Queue) -> None:
    short = await ended(queue, jobs.say_hello, result_ttl=10)
    for_ever = await ended(queue, jobs.say_hello, result_ttl=-1)
    registry = queue.finished_job_registry
    assert await registry.get_expiration_time(for_ever) is None

    await age(queue.space, seconds=10_000_000)

    assert await registry.get_job_ids() == [for_ever.id]
    assert [await registry.contains(job) for job in (short, for_ever)] == [False, True]
    assert (await Job.fetch(for_ever.id)).result == "Hi there, Stranger!"
