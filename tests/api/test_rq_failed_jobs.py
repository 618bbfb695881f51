"""RQ's page about jobs, sample by sample: failed jobs, also as its first editions had them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from aqueue import (
    InvalidJobOperation,
    Job,
    NoSuchJobError,
    Queue,
    Worker,
    get_failed_queue,
    pop_connection,
    push_connection,
    requeue_job,
    use_connection,
)
from tests.api import jobs
from tests.support import age, wait_until

YEAR = timedelta(days=365)


@pytest.fixture
def redis(url: str) -> Redis:
    return Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]


async def test_a_job_that_raises_is_kept_in_the_failed_registry(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1)
    registry = queue.failed_job_registry

    await Worker([queue]).work(burst=True)

    assert await registry.count() == 1
    await job.refresh()
    assert job.is_failed
    assert job.exc_info is not None
    assert job.exc_info.startswith("Traceback (most recent call last):")
    assert job.exc_info.splitlines()[-1].startswith("ZeroDivisionError: ")
    assert "div_by_zero" in job.exc_info


async def test_requeue_puts_a_failed_job_back_into_its_queue(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1)
    registry = queue.failed_job_registry
    await Worker([queue]).work(burst=True)

    await registry.requeue(job)

    assert await registry.count() == 0
    assert await queue.count() == 1
    await job.refresh()
    assert (job.status, job.exc_info, job.ended_at) == ("queued", None, None)


async def test_every_failed_job_can_be_requeued_by_its_id(redis: Redis) -> None:
    queue = Queue(connection=redis)
    await queue.enqueue_many([Queue.prepare_data(jobs.div_by_zero, (1,)) for _ in range(5)])
    await Worker([queue]).work(burst=True)
    registry = queue.failed_job_registry
    assert await registry.count() == 5

    async for job_id in registry:
        await registry.requeue(job_id)

    assert (await registry.count(), await queue.count()) == (0, 5)


async def test_requeue_job_takes_an_id(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1)
    await Worker([queue]).work(burst=True)

    again = await requeue_job(job.id, connection=redis)

    assert again.status == "queued"
    assert await queue.get_job_ids() == [job.id]


async def test_a_failed_job_requeues_itself(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1)
    other = await queue.enqueue(jobs.say_hello)
    await other.cancel()
    await Worker([queue]).work(burst=True)
    await queue.enqueue(jobs.say_hello)

    await job.requeue(at_front=True)

    assert await job.get_position() == 0
    assert await queue.count() == 2


async def test_a_failed_job_is_kept_for_a_year(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1)
    await Worker([queue]).work(burst=True)

    removed = await queue.failed_job_registry.get_expiration_time(job)

    assert removed is not None
    assert abs(removed - datetime.now(UTC) - YEAR) < timedelta(minutes=1)


async def test_a_failed_job_is_kept_as_long_as_its_failure_ttl_says(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.div_by_zero, 1, failure_ttl=300)
    await Worker([queue]).work(burst=True)
    await age(queue.space, seconds=290)
    assert await queue.failed_job_registry.count() == 1

    await age(queue.space, seconds=20)

    assert await queue.failed_job_registry.count() == 0
    async with Worker([queue]).running():  # workers remove what is past its time
        await wait_until(lambda: _is_gone(job))


async def _is_gone(job: Job[Any]) -> bool:
    return not await Job.exists(job.id)


async def test_the_failed_queue_of_the_first_editions(redis: Redis) -> None:
    push_connection(redis)
    try:
        job = Job.create(func=jobs.div_by_zero, args=(1, 2, 3))
        job.origin = "fake"
        await job.save()
        failed = get_failed_queue()
        await failed.quarantine(job, Exception("Some fake error"))
        assert await failed.count() == 1

        await failed.requeue(job.id)

        assert await failed.count() == 0
        assert await Queue("fake").count() == 1
    finally:
        assert pop_connection() is redis


async def test_use_connection_holds_within_its_block(redis: Redis) -> None:
    with use_connection(redis):
        job = await Job.create(func=jobs.div_by_zero, args=(1,), origin="fake").save()
        await get_failed_queue().quarantine(job, Exception("Some fake error"))

        assert await Queue("fake").failed_job_registry.get_job_ids() == [job.id]


async def test_a_quarantined_job_shows_the_error_it_was_given(redis: Redis) -> None:
    job = await Job.create(func=jobs.div_by_zero, args=(1,), connection=redis, origin="fake").save()

    found = await get_failed_queue(redis).quarantine(job, Exception("Some fake error"))

    assert (found.status, found.exc_info, found.origin) == ("failed", "Exception: Some fake error", "fake")
    assert found.ended_at is not None


async def test_the_failed_queue_shows_the_failed_jobs_of_all_queues(redis: Redis) -> None:
    queues = [Queue(name, connection=redis) for name in ("one", "two", "three")]
    ids = [(await queue.enqueue(jobs.div_by_zero, 1)).id for queue in queues]
    await Worker(queues).work(burst=True)
    failed = get_failed_queue(redis)
    assert await failed.count() == 3
    assert sorted(await failed.get_job_ids()) == sorted(ids)
    assert {job.origin for job in await failed.get_jobs()} == {"one", "two", "three"}

    assert await failed.requeue_all() == 3

    assert [await queue.count() for queue in queues] == [1, 1, 1]
    assert await failed.count() == 0


async def test_the_failed_queue_refuses_what_has_not_failed(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.say_hello)
    failed = get_failed_queue(redis)

    with pytest.raises(InvalidJobOperation, match=f"cannot requeue from the failed jobs job '{job.id}'"):
        await failed.requeue(job)
    with pytest.raises(NoSuchJobError, match="nobody"):
        await failed.requeue("nobody")
    with pytest.raises(NoSuchJobError, match="nobody"):
        await failed.quarantine("nobody", Exception("x"))
    await Worker([queue]).work(burst=True)
    with pytest.raises(InvalidJobOperation, match=f"cannot quarantine job '{job.id}': it is finished"):
        await failed.quarantine(job, Exception("x"))
