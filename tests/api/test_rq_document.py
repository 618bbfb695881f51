"""RQ's page about jobs, sample by sample: making, reading, stopping, canceling, meta, positions."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from aqueue import (
    InvalidJobOperation,
    Job,
    JobStatus,
    NoSuchJobError,
    Queue,
    Retry,
    Worker,
    cancel_job,
    get_current_job,
)
from tests.api import jobs
from tests.support import age, wait_until

TEXT = "a job queue in three more words"


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text"
    path.write_text(TEXT)
    return str(path)


@pytest.fixture
def redis(url: str) -> Redis:
    """What the samples call `redis_conn`."""
    return Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]


async def test_enqueue_returns_a_job_whose_id_finds_it_again(redis: Redis, text: str) -> None:
    queue = Queue(connection=redis)

    job = await queue.enqueue(jobs.count_words, text)
    await Worker([queue]).work(burst=True)

    assert queue.name == "default"
    assert (await Job.fetch(job.id, connection=redis)).result == 7


async def test_a_job_id_may_be_chosen(redis: Redis, text: str) -> None:
    queue = Queue(connection=redis)

    job = await queue.enqueue(jobs.count_words, text, job_id="my_job_id")

    assert job.id == "my_job_id"
    assert (await Job.fetch("my_job_id", connection=redis)).args == (text,)


async def test_a_job_made_by_create_runs_once_it_is_enqueued(redis: Redis, text: str) -> None:
    queue = Queue(connection=redis)
    job = Job.create(jobs.count_words, (text,))
    assert not await Job.exists(job.id, connection=redis)

    await queue.enqueue_job(job)
    await Worker([queue]).work(burst=True)

    assert await job.wait(5) == 7


async def test_create_takes_a_lone_string_as_the_one_argument(redis: Redis, text: str) -> None:
    """As the page writes it: `Job.create(count_words_at_url, 'http://nvie.com', id='my_job_id')`."""
    queue = Queue(connection=redis)

    job = await queue.enqueue_job(Job.create(jobs.count_words, text, id="my_job_id"))
    await Worker([queue]).work(burst=True)

    assert job.args == (text,)
    assert await (await Job.fetch("my_job_id", connection=redis)).wait(5) == 7


async def test_create_takes_every_option_of_the_page(redis: Redis) -> None:
    job = Job.create(
        jobs.echo,
        args=[1, 2],
        kwargs={"three": 3},
        timeout="3m",
        result_ttl=600,
        ttl=43,
        failure_ttl=300,
        id="my_job_id",
        description="to be seen by people",
        connection=redis,
        origin="low",
        meta={"user": "ann"},
        retry=Retry(max=3, interval=[10, 30]),
    )
    await job.save()

    found = await Job.fetch("my_job_id", connection=redis)
    assert (found.args, found.kwargs, found.func) == ((1, 2), {"three": 3}, jobs.echo)
    assert (found.timeout, found.result_ttl, found.ttl, found.failure_ttl) == (180, 600, 43, 300)
    assert (found.description, found.origin, found.meta) == ("to be seen by people", "low", {"user": "ann"})
    assert (found.status, found.retries_left) == (JobStatus.CREATED, 3)


@pytest.mark.parametrize(
    ("given", "seconds"), [(2, 2), ("2", 2), ("1h", 3600), ("3m", 180), ("5s", 5), (timedelta(minutes=1), 60)]
)
async def test_a_timeout_is_a_number_or_a_text_with_a_unit(redis: Redis, given: Any, seconds: int) -> None:
    queue = Queue(connection=redis)

    job = await queue.enqueue(jobs.say_hello, job_timeout=given)

    assert (await Job.fetch(job.id, connection=redis)).timeout == seconds


async def test_the_functions_own_ttl_and_description_travel_in_kwargs(redis: Redis, text: str) -> None:
    queue = Queue(connection=redis)
    job = Job.create(
        jobs.count_words, ttl=30, args=(text,), kwargs={"description": "Function description", "ttl": 15}
    )

    await queue.enqueue_job(job)
    await Worker([queue]).work(burst=True)

    assert job.ttl == 30
    assert await job.wait(5) == 7 + 2


async def test_the_defaults_are_those_of_the_page(redis: Redis) -> None:
    job = await Queue(connection=redis).enqueue(jobs.say_hello)

    assert (job.ttl, job.result_ttl, job.failure_ttl) == (None, 500, 365 * 24 * 3600)
    assert (job.timeout, job.meta, job.retries_left) == (180, {}, None)


async def test_a_fetched_job_shows_how_its_run_went(redis: Redis, text: str) -> None:
    queue = Queue(connection=redis)
    await queue.enqueue(jobs.count_words, text, job_id="my_job_id")
    before = await Job.fetch("my_job_id", connection=redis)
    await Worker([queue], name="my_worker").work(burst=True)

    job = await Job.fetch("my_job_id", connection=redis)

    assert (before.result, before.started_at, before.ended_at) == (None, None, None)
    assert await job.get_status(refresh=True) == "finished"
    assert await job.get_meta(refresh=True) == {}
    assert (job.origin, job.func_name, job.result) == ("default", "tests.api.jobs.count_words", 7)
    assert (job.args, job.kwargs, job.exc_info, job.worker_name) == ((text,), {}, None, "my_worker")
    assert job.enqueued_at is not None
    assert job.started_at is not None
    assert job.ended_at is not None
    assert job.enqueued_at <= job.started_at <= job.ended_at <= datetime.now(UTC) + timedelta(seconds=1)


async def test_a_job_of_an_earlier_read_shows_news_after_refresh(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.say_hello, "you")
    await Worker([queue]).work(burst=True)
    assert (job.status, job.result) == ("queued", None)
    assert await job.get_status(refresh=False) == "queued"

    await job.refresh()

    assert (job.status, job.result) == ("finished", "Hi there, you!")


async def test_fetch_many_brings_jobs_in_the_order_asked_for(redis: Redis) -> None:
    queue = Queue(connection=redis)
    await queue.enqueue(jobs.say_hello, job_id="foo_id")
    await queue.enqueue(jobs.nothing, job_id="bar_id")

    found = await Job.fetch_many(["bar_id", "no_such_id", "foo_id"], connection=redis)

    names = [None if job is None else (job.id, job.func_name) for job in found]
    assert names == [
        ("bar_id", "tests.api.jobs.nothing"),
        None,
        ("foo_id", "tests.api.jobs.say_hello"),
    ]


async def test_stopping_a_running_job_puts_it_in_the_failed_registry_for_good(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.sleep_for_ever, retry=Retry(max=3))
    async with Worker([queue]).running():
        await wait_until(job.get_status, description="claimed")
        await wait_until(lambda: _is(job, "started"))

        await job.stop()
        await wait_until(lambda: _is(job, "stopped"))

        assert await queue.failed_job_registry.get_job_ids() == [job.id]
        assert await queue.count() == 0


async def _is(job: Job[Any], status: str) -> bool:
    return await job.get_status() == status


async def test_only_a_running_job_can_be_stopped(redis: Redis) -> None:
    job = await Queue(connection=redis).enqueue(jobs.say_hello)

    with pytest.raises(InvalidJobOperation, match=f"cannot stop job '{job.id}': it is queued"):
        await job.stop()


async def test_a_canceled_job_is_in_the_canceled_registry_and_never_runs(redis: Redis) -> None:
    queue = Queue(connection=redis)
    await queue.enqueue(jobs.say_hello, job_id="my_job_id")

    job = await Job.fetch("my_job_id", connection=redis)
    await job.cancel()

    assert await job.get_status() == JobStatus.CANCELED
    assert await queue.canceled_job_registry.contains(job)
    assert await queue.count() == 0
    assert not await Worker([queue]).work(burst=True)


async def test_cancel_job_takes_an_id(redis: Redis) -> None:
    job = await Queue(connection=redis).enqueue(jobs.say_hello)

    await cancel_job(job.id, connection=redis)

    assert await job.get_status() == "canceled"


async def test_canceling_a_running_job_ends_it_canceled(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.sleep_for_ever)
    async with Worker([queue]).running():
        await wait_until(lambda: _is(job, "started"))
        await job.cancel()
        await wait_until(lambda: _is(job, "canceled"))

    assert await queue.canceled_job_registry.get_job_ids() == [job.id]


async def test_a_canceled_job_stays_until_it_is_deleted(redis: Redis) -> None:
    job = await Queue(connection=redis).enqueue(jobs.say_hello)
    await job.cancel()
    assert await Job.exists(job.id, connection=redis)

    await job.delete()

    with pytest.raises(NoSuchJobError, match=job.id):
        await Job.fetch(job.id, connection=redis)


class JsonSerializer:
    """A serializer as users write one: two methods, on the class itself or on an object."""

    @staticmethod
    def dumps(value: Any) -> bytes:
        return json.dumps(value).encode()

    @staticmethod
    def loads(data: bytes) -> Any:
        return json.loads(data)


@pytest.mark.parametrize("serializer", [JsonSerializer, JsonSerializer()])
async def test_jobs_and_queues_take_a_serializer_of_ones_own(redis: Redis, serializer: Any) -> None:
    queue = Queue(connection=redis, serializer=serializer)
    made = await queue.enqueue_job(Job.create(jobs.say_hello, ("Jay",), id="made", serializer=serializer))
    await queue.options(job_id="direct", meta={"a": [1]}).enqueue(jobs.say_hello, name="Son")
    await Worker([queue]).work(burst=True)

    direct = await Job.fetch("direct", connection=redis, serializer=serializer)
    assert await made.wait(5) == "Hi there, Jay!"
    assert (direct.result, direct.meta) == ("Hi there, Son!", {"a": [1]})


@pytest.mark.parametrize("function", [jobs.add_async, jobs.add_sync])
async def test_a_job_stores_meta_while_it_runs(redis: Redis, function: Any) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(function, 1, 2, meta={"before": 1})
    await Worker([queue]).work(burst=True)

    assert await job.wait(5) == 3
    assert job.meta == {"before": 1, "handled_by": socket.gethostname(), "current": job.id}


async def test_the_current_job_is_known_in_tasks_that_a_job_starts(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.current_id)
    await Worker([queue]).work(burst=True)

    assert await job.wait(5) == job.id


async def test_a_plain_function_knows_its_job_too(redis: Redis) -> None:
    queue = Queue("low", connection=redis)
    job = await queue.enqueue(jobs.current_facts_in_a_thread)
    await Worker([queue]).work(burst=True)

    facts = await job.wait(5)
    assert facts == {"id": job.id, "origin": "low", "args": (), "status": "started", "main": False}


async def test_a_plain_function_reads_and_writes_its_meta_without_await(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.meta_in_a_thread, meta={"given": 1})
    await Worker([queue]).work(burst=True)

    assert await job.wait(5) == {"given": 1, "seen": True}


async def test_there_is_no_current_job_outside_of_jobs() -> None:
    assert get_current_job() is None


async def test_meta_is_a_way_to_talk_with_a_running_job(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.hand_over)
    async with Worker([queue]).running():
        await wait_until(lambda: _is(job, "started"))
        job.meta["question"] = 41
        await job.save_meta()
        assert await job.wait(10) == "done"

    assert await job.get_meta() == {"question": 41, "answer": 42}


@pytest.mark.parametrize("way", ["create", "enqueue"])
async def test_a_job_that_waited_longer_than_its_ttl_never_runs(redis: Redis, way: str) -> None:
    queue = Queue(connection=redis)
    if way == "create":
        job = await queue.enqueue_job(Job.create(func=jobs.say_hello, result_ttl=600, ttl=43))
    else:
        job = await queue.enqueue(jobs.say_hello, result_ttl=600, ttl=43)
    assert await queue.count() == 1
    await age(queue.space, seconds=42)
    assert await queue.count() == 1

    await age(queue.space, seconds=2)

    assert (await queue.count(), await queue.get_job_ids()) == (0, [])
    assert not await Worker([queue]).work(burst=True)
    assert await job.get_status() == "expired"
    assert await queue.expired_job_registry.get_job_ids() == [job.id]


async def test_a_job_that_starts_within_its_ttl_is_not_bound_by_it_any_more(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.say_hello, ttl=43)
    await Worker([queue]).work(burst=True)

    await age(queue.space, seconds=50)

    assert await job.get_status() == "finished"


async def test_a_job_knows_how_many_are_before_it(redis: Redis) -> None:
    queue = Queue(connection=redis)
    job = await queue.enqueue(jobs.say_hello)
    job2 = await queue.enqueue(jobs.say_hello)

    assert await job2.get_position() == 1
    assert await queue.get_job_position(job) == 0
    assert await queue.get_job_position(job2.id) == 1
    assert await Queue("other", connection=redis).get_job_position(job) is None
