"""Enqueue and read back: one by one, together, many at once, for later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from aqueue import (
    DuplicateJobError,
    InvalidJobOperation,
    Job,
    JobStatus,
    PayloadError,
    Queue,
    Retry,
    SettingsError,
    Worker,
)
from aqueue._core.clock import Duration
from tests import tasks
from tests.api import jobs
from tests.api.admin import calls_of
from tests.servers import Server
from tests.support import age, wait_until


async def test_an_enqueued_job_waits_with_its_arguments(queue: Queue) -> None:
    job = await queue.enqueue(tasks.add, 1, b=2)

    fetched = await Job.fetch(job.id)
    assert (fetched.status, fetched.origin, fetched.func_name) == ("queued", "default", "tests.tasks.add")
    assert (fetched.args, fetched.kwargs, fetched.func) == ((1,), {"b": 2}, tasks.add)
    assert fetched.description == "tests.tasks.add(1, b=2)"
    assert await queue.get_job_ids() == [job.id]


async def test_the_returned_job_shows_what_a_fetched_one_shows(queue: Queue) -> None:
    job = await queue.enqueue(
        jobs.echo, 1, job_timeout="1h30m", ttl=43, result_ttl=0, failure_ttl=-1, priority=-5, meta={"a": 1},
        retry=Retry(max=3, interval=[10, 30]), description="words", job_id="mine", at_front=True,
    )  # fmt: skip

    found = await Job.fetch("mine")
    names = [
        "id", "status", "origin", "func_name", "args", "kwargs", "meta", "timeout", "ttl", "result_ttl",
        "failure_ttl", "priority", "retries_left", "description", "enqueued_at", "created_at", "result",
        "exc_info", "started_at", "ended_at", "worker_name",
    ]  # fmt: skip
    assert {name: getattr(job, name) for name in names} == {name: getattr(found, name) for name in names}
    assert (job.timeout, job.result_ttl, job.failure_ttl, job.priority) == (5400, 0, -1, -5)


async def test_a_queues_default_timeout_holds_for_jobs_without_one(queue: Queue) -> None:
    short = Queue("default", default_timeout="5s")
    none = Queue("default", default_timeout=-1)

    assert (await short.enqueue(jobs.nothing)).timeout == 5
    assert (await short.enqueue(jobs.nothing, job_timeout=0.25)).timeout == 0.25
    assert (await none.enqueue(jobs.nothing)).timeout == -1
    assert (await short.enqueue(jobs.nothing, job_timeout=-1)).timeout == -1
    [many] = await short.enqueue_many([Queue.prepare_data(jobs.nothing)])
    assert (await Job.fetch(many.id)).timeout == 5


async def test_queues_with_other_settings_share_nothing_for_the_same_function(queue: Queue) -> None:
    queues = [queue, Queue("default", default_timeout=5), Queue("default", executor="process")]

    made = [await each.enqueue(jobs.nothing) for each in queues * 2]

    stored = [await Job.fetch(job.id) for job in made]
    assert [(job.timeout, job.executor) for job in stored] == [(180, None), (5, None), (180, "process")] * 2


async def test_the_options_of_one_call_are_not_those_of_the_next(queue: Queue) -> None:
    await queue.enqueue(jobs.nothing, ttl=5, meta={"a": 1}, at_front=True, priority=3)
    plain = await queue.enqueue(jobs.nothing)

    assert (plain.ttl, plain.meta, plain.priority) == (None, {}, 0)
    assert await queue.get_job_position(plain) == 1


async def test_a_queues_default_timeout_holds_for_a_created_job(queue: Queue) -> None:
    short = Queue("default", default_timeout="5s")

    made = await short.enqueue_job(Job.create(jobs.nothing))
    chosen = await short.enqueue_job(Job.create(jobs.nothing, timeout="1m"))

    assert [(await Job.fetch(job.id)).timeout for job in (made, chosen)] == [5, 60]


async def test_jobs_enqueued_at_once_all_wait_in_order(queue: Queue) -> None:
    enqueued = await asyncio.gather(*(queue.enqueue(tasks.add, 1, number) for number in range(250)))

    assert await queue.get_job_ids() == [job.id for job in enqueued]


async def test_what_is_enqueued_at_once_travels_in_a_few_calls(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    await queue.enqueue(jobs.nothing)
    before = calls_of(own_server, "evalsha")

    await asyncio.gather(*(queue.enqueue(jobs.nothing) for _ in range(1_000)))

    assert calls_of(own_server, "evalsha") - before == 11  # the first one alone, like the one before it
    assert await queue.count() == 1_001
    await queue.aclose()


async def test_large_jobs_enqueued_at_once_travel_in_calls_of_four_mebibytes(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    await queue.enqueue(jobs.nothing)
    before = calls_of(own_server, "evalsha")

    await asyncio.gather(*(queue.enqueue(jobs.echo, bytes(1_000_000)) for _ in range(12)))

    assert calls_of(own_server, "evalsha") - before == 4  # the first one alone, like the one before it
    await queue.aclose()


async def test_a_duplicate_among_jobs_enqueued_at_once_does_not_touch_the_others(queue: Queue) -> None:
    ids = ["a", "b", "a", "c"]

    answers = await asyncio.gather(
        *(queue.enqueue(jobs.nothing, job_id=job_id) for job_id in ids), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [Job, Job, DuplicateJobError, Job]
    assert await queue.get_job_ids() == ["a", "b", "c"]


async def test_a_cancelled_caller_does_not_take_its_neighbours_along(queue: Queue) -> None:
    enqueues = [asyncio.create_task(queue.enqueue(jobs.nothing, job_id=f"j{n}")) for n in range(10)]
    await asyncio.sleep(0)
    enqueues[3].cancel()

    answers = await asyncio.gather(*enqueues, return_exceptions=True)

    assert [isinstance(answer, Job) for answer in answers] == [n != 3 for n in range(10)]
    assert [job_id for job_id in await queue.get_job_ids() if job_id != "j3"] == [
        f"j{n}" for n in range(10) if n != 3
    ]


async def has_status(job_id: str, status: str) -> bool:
    return (await Job.fetch(job_id)).status == status


@pytest.mark.parametrize("status", ["queued", "scheduled", "started"])
async def test_the_id_of_a_job_that_has_not_ended_is_taken(queue: Queue, status: str) -> None:
    if status == "scheduled":
        await queue.enqueue_in(60, jobs.nothing, job_id="mine")
    else:
        await queue.enqueue(jobs.sleep_for_ever if status == "started" else jobs.nothing, job_id="mine")
    worker = Worker([queue], grace=0)
    async with worker.running() if status == "started" else queue:
        await wait_until(lambda: has_status("mine", status))

        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: queue.enqueue(jobs.nothing, job_id="mine"),
            lambda: Queue("other").enqueue(jobs.nothing, job_id="mine"),
            lambda: queue.enqueue_in(5, jobs.nothing, job_id="mine"),
            lambda: Job.create(jobs.nothing, id="mine").save(),
        ]
        for call in calls:
            with pytest.raises(
                DuplicateJobError, match=f"job 'mine' exists already and is {status}"
            ) as caught:
                await call()
            assert (caught.value.job_id, caught.value.status) == ("mine", status)

    assert await Queue("other").count() == 0


async def test_the_id_of_an_ended_job_starts_anew(queue: Queue) -> None:
    await queue.enqueue(jobs.div_by_zero, 1, job_id="mine", meta={"old": 1})
    await Worker([queue]).work(burst=True)
    assert await queue.failed_job_registry.count() == 1

    again = await Queue("other").enqueue(jobs.say_hello, "you", job_id="mine")

    found = await Job.fetch("mine")
    assert (found.status, found.meta, found.exc_info, found.started_at) == ("queued", {}, None, None)
    assert (found.origin, await again.results()) == ("other", [])
    assert await queue.failed_job_registry.count() == 0


async def test_a_job_with_a_removed_result_frees_its_id_at_once(queue: Queue) -> None:
    await queue.enqueue(jobs.say_hello, job_id="mine", result_ttl=0)
    await Worker([queue]).work(burst=True)
    assert not await Job.exists("mine")

    await queue.enqueue(jobs.say_hello, job_id="mine")

    assert await Job.exists("mine")
    assert await queue.get_job_ids() == ["mine"]


async def test_enqueue_many_keeps_the_order_of_250_jobs(queue: Queue) -> None:
    first = await queue.enqueue(jobs.nothing)

    made = await queue.enqueue_many(Queue.prepare_data(jobs.echo, (number,)) for number in range(250))

    assert await queue.get_job_ids() == [first.id, *(job.id for job in made)]
    assert [job.args for job in await queue.get_jobs()] == [(), *((number,) for number in range(250))]
    assert {job.status for job in made} == {JobStatus.QUEUED}


async def test_enqueue_many_sends_a_hundred_per_call(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    await queue.enqueue(jobs.nothing)
    before = calls_of(own_server, "evalsha")

    await queue.enqueue_many([Queue.prepare_data(jobs.nothing) for _ in range(250)])
    assert await queue.enqueue_many([]) == []

    assert calls_of(own_server, "evalsha") - before == 3
    await queue.aclose()


async def test_enqueue_many_takes_each_jobs_own_options(queue: Queue) -> None:
    low, high = await queue.enqueue_many(
        [
            Queue.prepare_data(jobs.echo, (1,), {"x": 2}, job_id="low", timeout=5, meta={"a": 1}),
            Queue.prepare_data("tests.api.jobs.say_hello", job_id="high", priority=5, ttl="1m"),
        ]
    )

    assert await queue.get_job_ids() == ["high", "low"]
    assert (low.timeout, low.meta, low.args, low.kwargs) == (5, {"a": 1}, (1,), {"x": 2})
    assert (high.ttl, high.func_name) == (60, "tests.api.jobs.say_hello")


async def test_enqueue_many_names_what_is_in_and_what_is_not(queue: Queue) -> None:
    await queue.enqueue(jobs.nothing, job_id="j7")
    await queue.enqueue(jobs.nothing, job_id="j120")
    datas = [Queue.prepare_data(jobs.nothing, job_id=f"j{number}") for number in range(150)]

    with pytest.raises(DuplicateJobError, match="j7") as caught:
        await queue.enqueue_many(datas)

    assert caught.value.not_enqueued == ["j7", "j120"]
    assert list(caught.value.enqueued) == [f"j{n}" for n in range(150) if n not in (7, 120)]
    assert await queue.count() == 150


async def test_an_id_given_twice_to_enqueue_many_is_in_once_and_named_once(queue: Queue) -> None:
    datas = [Queue.prepare_data(jobs.nothing, job_id=job_id) for job_id in ("a", "b", "a")]

    with pytest.raises(DuplicateJobError, match="'a'") as caught:
        await queue.enqueue_many(datas)

    assert (caught.value.enqueued, caught.value.not_enqueued) == (["a", "b"], ["a"])
    assert await queue.get_job_ids() == ["a", "b"]


async def test_one_bad_job_keeps_enqueue_many_from_sending_any(queue: Queue, stored: Any) -> None:
    good = [Queue.prepare_data(jobs.nothing) for _ in range(150)]

    with pytest.raises(SettingsError, match="ttl"):
        await queue.enqueue_many([*good, Queue.prepare_data(jobs.nothing, ttl="3x")])
    with pytest.raises(PayloadError):
        await queue.enqueue_many([*good, Queue.prepare_data(jobs.echo, (jobs.Unpicklable(),))])

    assert stored() == []


async def test_enqueue_job_takes_a_job_once(queue: Queue) -> None:
    job = Job.create(jobs.say_hello, ("you",), id="mine", origin="other", meta={"a": 1}, ttl=60)

    assert await queue.enqueue_job(job) is job

    assert (job.status, job.origin, job.meta) == ("queued", "default", {"a": 1})
    with pytest.raises(InvalidJobOperation, match="cannot enqueue job 'mine': it is queued"):
        await queue.enqueue_job(job)
    with pytest.raises(InvalidJobOperation, match="cannot enqueue job 'mine'"):
        await queue.enqueue_job(await Job.fetch("mine"))
    assert await queue.get_job_ids() == ["mine"]


async def test_enqueue_job_keeps_meta_that_was_changed_after_create(queue: Queue) -> None:
    job = Job.create(jobs.nothing)
    job.meta["late"] = True

    await queue.enqueue_job(job)

    assert (await Job.fetch(job.id)).meta == {"late": True}


async def test_a_saved_job_can_be_enqueued_later_also_by_another_program(queue: Queue) -> None:
    await Job.create(jobs.say_hello, ("you",), id="mine").save()
    assert (await Job.fetch("mine")).status == "created"

    await queue.enqueue_job(await Job.fetch("mine"))

    assert await queue.get_job_ids() == ["mine"]
    await Worker([queue]).work(burst=True)
    assert (await Job.fetch("mine")).result == "Hi there, you!"


async def test_a_higher_priority_starts_first_and_at_front_before_its_equals(queue: Queue) -> None:
    given: dict[str, dict[str, Any]] = {
        "a": {}, "b": {"priority": 1}, "c": {"at_front": True}, "d": {"priority": 100},
        "e": {"priority": -100}, "f": {}, "g": {"at_front": True}, "h": {"priority": 1, "at_front": True},
    }  # fmt: skip
    for job_id, options in given.items():
        await queue.enqueue(jobs.nothing, job_id=job_id, **options)
    await queue.enqueue_job(Job.create(jobs.nothing, id="i"), at_front=True)
    await queue.enqueue_job(Job.create(jobs.nothing, id="j", at_front=True))
    await queue.enqueue_job(Job.create(jobs.nothing, id="k", priority=2))

    assert await queue.get_job_ids() == list("dkhbjigcafe")
    assert [await queue.get_job_position(job_id) for job_id in "dae"] == [0, 8, 10]


UTC_NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    "when",
    [
        UTC_NOW + timedelta(hours=1),
        (UTC_NOW + timedelta(hours=1)).astimezone().replace(tzinfo=None),
        (UTC_NOW + timedelta(hours=1)).astimezone(ZoneInfo("Asia/Kathmandu")),
    ],
)
async def test_a_job_for_later_waits_until_its_time(queue: Queue, when: datetime) -> None:
    job = await queue.enqueue_at(when, jobs.say_hello, "you")

    due = await queue.scheduled_job_registry.get_scheduled_time(job)
    assert abs(due - UTC_NOW - timedelta(hours=1)) < timedelta(seconds=30)
    assert (job.status, job.enqueued_at, await queue.count()) == ("scheduled", None, 0)
    assert not await Worker([queue]).work(burst=True)
    await age(queue.space, seconds=3600)
    assert await Worker([queue]).work(burst=True)
    assert await job.wait(5) == "Hi there, you!"


@pytest.mark.parametrize("when", [datetime(2001, 1, 1), datetime(2001, 1, 1, tzinfo=UTC)])
async def test_a_time_that_has_passed_means_now(queue: Queue, when: datetime) -> None:
    job = await queue.enqueue_at(when, jobs.nothing)

    assert job.status == "queued"
    assert await queue.get_job_ids() == [job.id]


@pytest.mark.parametrize("delay", [3600, "1h", timedelta(hours=1), 3600.0, "60m"])
async def test_a_delay_is_any_duration(queue: Queue, delay: Duration) -> None:
    one = await queue.enqueue_in(delay, jobs.nothing)
    two = await queue.options(ttl=5).enqueue_in(delay, jobs.nothing)

    registry = queue.scheduled_job_registry
    assert await registry.get_job_ids() == [one.id, two.id]
    due = await registry.get_scheduled_time(one.id)
    assert abs(due - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=5)


async def test_the_ttl_of_a_job_for_later_runs_from_its_due_time(queue: Queue) -> None:
    job = await queue.enqueue_in(60, jobs.say_hello, ttl=10)
    await age(queue.space, seconds=65)
    await Worker([queue]).work(burst=True)

    assert await job.wait(5) == "Hi there, Stranger!"
