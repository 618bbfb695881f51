"""`Queue(middleware=[...])`: users' code around the way of jobs into a queue."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import (
    DuplicateJobError,
    EnqueueCall,
    EnqueueMiddleware,
    EnqueueUncertain,
    InvalidJobOperation,
    Job,
    Queue,
    Retry,
    SettingsError,
    Worker,
)
from tests import tasks
from tests.api.admin import admin
from tests.api.proxy import Proxy
from tests.servers import Server

CallNext = Callable[[], Awaitable[Job[Any]]]

trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="none")


async def send_trace(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
    """What a tracing library does where jobs are enqueued ..."""
    call.meta["trace"] = trace.get()
    return await call_next()


async def take_trace(job: Job[Any], call_next: Callable[[], Awaitable[Any]]) -> Any:
    """... and where they run."""
    trace.set(job.meta["trace"])
    return await call_next()


async def tell_trace() -> str:
    return trace.get()


def tell_trace_in_thread() -> str:
    return trace.get()


def through(*middleware: EnqueueMiddleware, **options: Any) -> Queue:
    return Queue("default", middleware=middleware, **options)


Enqueue = Callable[[Queue, Any], Awaitable[Job[Any]]]


async def one_of_many(queue: Queue, func: Any) -> Job[Any]:
    return (await queue.enqueue_many([Queue.prepare_data(func), Queue.prepare_data(func)]))[1]


WAYS: dict[str, Enqueue] = {
    "enqueue": lambda queue, func: queue.enqueue(func),
    "bound": lambda queue, func: queue.options(ttl=60).enqueue(func),
    "in": lambda queue, func: queue.enqueue_in("1ms", func),
    "at": lambda queue, func: queue.enqueue_at(datetime.now(UTC), func),
    "many": one_of_many,
    "job": lambda queue, func: queue.enqueue_job(Job.create(func)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("func", [tell_trace, tell_trace_in_thread])
async def test_a_trace_id_travels_from_the_enqueuing_side_into_the_job(url: str, way: str, func: Any) -> None:
    queue = through(send_trace)
    jobs: list[Job[Any]] = []
    for name in ("a", "b"):
        trace.set(name)
        jobs.append(await WAYS[way](queue, func))
    trace.set("the worker's own")
    async with Worker(queue, middleware=[take_trace]).running():
        assert [await job.wait(10) for job in jobs] == ["a", "b"]


@pytest.mark.parametrize("way", WAYS)
async def test_it_sees_the_job_afterwards(url: str, way: str) -> None:
    seen: list[Job[Any]] = []

    async def watch(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        assert (call.queue, call.args, call.kwargs) == ("default", (), {})
        seen.append(await call_next())
        return seen[-1]

    job = await WAYS[way](through(watch), tell_trace)

    assert seen[-1] is job
    assert job.status in ("queued", "scheduled")


async def test_the_first_is_the_outermost(url: str) -> None:
    notes: list[str] = []

    def make(name: str) -> EnqueueMiddleware:
        async def note(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
            notes.append(name)
            job = await call_next()
            notes.append(name.upper())
            return job

        return note

    await through(make("a"), make("b")).enqueue(tasks.add, 1, 2)

    assert notes == ["a", "b", "B", "A"]


async def test_all_of_a_call_may_be_changed(url: str) -> None:
    async def change(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        assert (call.func, call.args, call.kwargs) == (tasks.nap, (1,), {"x": 2})
        assert (call.meta, call.options, call.delay) == ({"user": 7}, {"ttl": 60}, 30)
        call.func, call.args, call.kwargs = "tests.tasks.add", (1,), {"b": 2}
        call.meta["seen"] = True
        call.options.update(job_id="mine", result_ttl=-1, retry=2)
        call.options.pop("ttl")
        call.delay = "1h"
        return await call_next()

    meta = {"user": 7}
    options: dict[str, Any] = {"meta": meta, "ttl": 60}
    bound: Any = through(change).options(**options)
    made = await bound.enqueue_in(30, tasks.nap, 1, x=2)

    job = await Job.fetch("mine")
    assert job == made
    assert (job.func_name, job.args, job.kwargs) == ("tests.tasks.add", (1,), {"b": 2})
    assert (job.meta, job.ttl, job.result_ttl, job.retries_left) == ({"user": 7, "seen": True}, None, -1, 2)
    assert job.status == "scheduled"
    assert meta == {"user": 7}
    assert options == {"meta": meta, "ttl": 60}


@pytest.mark.parametrize("way", WAYS)
async def test_any_job_may_be_put_off(url: str, way: str) -> None:
    async def put_off(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        call.delay = "1h"
        return await call_next()

    job = await WAYS[way](through(put_off), tell_trace)

    assert job.status == "scheduled"
    assert await Queue("default").count() == 0


async def test_the_options_of_a_made_job_are_seen_and_kept(url: str) -> None:
    retry = Retry(max=3, interval=[1, 2.5], backoff=2, jitter=0.1, on=(ValueError, "Own"), max_interval="5m")
    given: dict[str, Any] = {
        "ttl": 60, "result_ttl": -1, "failure_ttl": 90, "description": "mine", "priority": 5, "retry": retry,
        "executor": "process",
    }  # fmt: skip
    seen: list[EnqueueCall] = []

    async def watch(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        seen.append(call)
        return await call_next()

    job = Job.create(tasks.add, (1, 2), id="mine", timeout=7, meta={"a": 1}, at_front=True, **given)
    plainly: dict[str, Any] = {**given, "retry": None}
    plain = Job.create(tasks.add, (1, 2), id="plain", **plainly)
    job.meta["b"] = 2
    before = dict(job._record.fields)
    created_at = job.created_at
    assert await through(watch, default_timeout=99).enqueue_job(job) is job
    await Queue("default").enqueue_job(plain)

    expected = {
        **given,
        "job_id": "mine",
        "job_timeout": 7,
        "at_front": True,
        "retry": seen[0].options["retry"],
    }
    assert seen[0].options == expected
    assert seen[0].options["retry"].encode() == retry.encode()
    assert seen[0].meta == {"a": 1, "b": 2}
    stored = (await Job.fetch("mine"))._record.fields
    assert {name: stored[name] for name in before if name not in (b"meta", b"created_at")} == {
        name: value for name, value in before.items() if name not in (b"meta", b"created_at")
    }
    assert (job.status, job.origin, job.meta) == ("queued", "default", {"a": 1, "b": 2})
    assert job.created_at == created_at
    assert await Queue("default").get_job_ids() == ["mine", "plain"]


async def test_what_changes_in_a_made_job_is_seen_in_its_handle(url: str) -> None:
    async def change(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        call.args = (3, 4)
        call.meta["seen"] = True
        call.options["ttl"] = 60
        return await call_next()

    job = Job.create(tasks.add, (1, 2))
    assert (job.args, job.meta) == ((1, 2), {})
    await through(change, default_timeout=99).enqueue_job(job)

    for handle in (job, await Job.fetch(job.id)):
        assert (handle.args, handle.meta, handle.ttl, handle.timeout) == ((3, 4), {"seen": True}, 60, 99)


async def test_a_made_job_that_was_saved_and_signed_passes_with_its_signature(url: str) -> None:
    async def change(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        call.meta["seen"] = call.args
        return await call_next()

    queue = through(change, signing_key="s" * 32)
    made = Job.create(tasks.add, (1, 2), meta={"a": 1}, signing_key="s" * 32)
    await made.save()
    await queue.enqueue_job(await Job.fetch(made.id, signing_key="s" * 32))
    await Worker(queue).work(burst=True)

    job = await Job.fetch(made.id, signing_key="s" * 32)
    assert (job.result, job.meta) == (3, {"a": 1, "seen": (1, 2)})


async def test_one_that_raises_refuses(url: str) -> None:
    async def refuse(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        raise PermissionError(f"not {call.func.__name__}") if callable(call.func) else AssertionError

    queue = through(refuse)
    with pytest.raises(PermissionError, match="not add"):
        await queue.enqueue(tasks.add, 1, 2)
    with pytest.raises(PermissionError, match="not add"):
        await queue.enqueue_many([Queue.prepare_data(tasks.add, (1, 2))])

    assert await queue.count() == 0


async def test_one_that_refuses_one_of_many_refuses_all(url: str) -> None:
    async def refuse(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        if call.args == (2,):
            raise ValueError("not this one")
        return await call_next()

    queue = through(refuse)
    with pytest.raises(ValueError, match="not this one"):
        await queue.enqueue_many([Queue.prepare_data(tasks.nap, (n,)) for n in range(5)])

    assert await queue.count() == 0


async def test_many_jobs_are_still_sent_in_calls_of_a_hundred(own_server: Server) -> None:
    async with Queue("default", own_server.url, middleware=[send_trace]) as queue:
        await queue.enqueue(tasks.add, 1, 2)  # connects and loads the script
        with admin(own_server) as client:
            client.config_resetstat()
            jobs = await queue.enqueue_many([Queue.prepare_data(tasks.nap, (n,)) for n in range(250)])
            stats = client.info("commandstats")

        assert [job.args for job in jobs] == [(n,) for n in range(250)]
        assert stats["cmdstat_evalsha"]["calls"] == 3
        assert await queue.count() == 251


async def test_concurrent_enqueues_still_share_a_call(own_server: Server) -> None:
    async with Queue("default", own_server.url, middleware=[send_trace]) as queue:
        await queue.enqueue(tasks.add, 1, 2)
        with admin(own_server) as client:
            client.config_resetstat()
            await asyncio.gather(*(queue.enqueue(tasks.nap, n) for n in range(50)))
            stats = client.info("commandstats")

        assert stats["cmdstat_evalsha"]["calls"] == 2  # the first one alone, like the one before it


async def test_it_may_answer_with_a_job_that_is_there_already(url: str) -> None:
    async def idempotent(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        try:
            return await call_next()
        except DuplicateJobError as error:
            return await Job.fetch(error.job_id)

    queue = through(idempotent)
    first = await queue.enqueue(tasks.add, 1, 2, job_id="mine")
    second = await queue.enqueue(tasks.add, 3, 4, job_id="mine")

    assert (first.id, second.args) == (second.id, (1, 2))


async def test_one_that_enqueues_nothing_sends_nothing(url: str) -> None:
    existing = await Queue("other").enqueue(tasks.add, 1, 2)

    async def instead(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        return existing

    queue = through(instead)
    assert await queue.enqueue(tasks.add, 1, 2) is existing
    assert await queue.enqueue_many([Queue.prepare_data(tasks.add, (1, 2))] * 2) == [existing, existing]
    assert await queue.count() == 0


async def test_a_second_call_next_enqueues_a_second_job(url: str) -> None:
    async def twice(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        await call_next()
        return await call_next()

    queue = through(twice)
    await queue.enqueue(tasks.add, 1, 2)
    assert await queue.count() == 2

    job = Job.create(tasks.add, (1, 2))
    with pytest.raises(InvalidJobOperation):
        await queue.enqueue_job(job)
    assert job.status == "queued"


async def test_a_retry_after_a_lost_reply_sends_what_the_middleware_made(url: str, hurry: None) -> None:
    calls: list[EnqueueCall] = []

    async def mark(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        calls.append(call)
        call.meta["marked"] = True
        return await call_next()

    async with Proxy(url) as proxy, Queue("default", proxy.url, middleware=[mark]) as queue:
        await queue.enqueue(tasks.add, 0, 0)
        proxy.on(b"EVALSHA", "swallow", times=9)
        with pytest.raises(EnqueueUncertain) as caught:
            await queue.enqueue(tasks.add, 1, 2)
        proxy.clear()
        job = await caught.value.retry()

    assert (job.args, job.meta) == ((1, 2), {"marked": True})
    assert (await Job.fetch(job.id)).meta == {"marked": True}
    assert len(calls) == 2


# -- bad input


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"options": {"timeout": 5}}, "unknown option timeout"), ({"options": {"meta": {}}}, "call.meta"),
        ({"options": {"ttl": -5}}, "ttl"), ({"options": {"job_id": "a b"}}, "job"), ({"args": 5}, "args="),
        ({"kwargs": {1: 2}}, "names as its keys"), ({"meta": [1]}, "meta must be a dictionary"),
        ({"delay": -1}, "delay"), ({"delay": timedelta(days=-1)}, "delay"), ({"func": lambda: 1}, "lambda"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("way", ["enqueue", "many", "job"])
async def test_a_change_that_cannot_be_is_refused_before_anything_is_sent(
    url: str, way: str, changes: dict[str, Any], says: str
) -> None:
    async def change(call: EnqueueCall, call_next: CallNext) -> Job[Any]:
        for name, value in changes.items():
            setattr(call, name, value)
        return await call_next()

    queue = through(change)
    with pytest.raises(SettingsError, match=says):
        await WAYS[way](queue, tell_trace)
    assert await queue.count() == 0


async def test_meta_that_is_no_dictionary_is_refused_before_the_middleware(url: str) -> None:
    queue: Any = through(send_trace)

    for meta in ([("a", 1)], "text", 5):
        with pytest.raises(SettingsError, match="meta must be a dictionary"):
            await queue.enqueue(tasks.add, 1, 2, meta=meta)


async def takes_three(queue: Queue, call: EnqueueCall, call_next: CallNext) -> Job[Any]:
    return await call_next()


def plain(call: EnqueueCall, call_next: CallNext) -> Any:
    return call_next()


@pytest.mark.parametrize("middleware", [[takes_three], [plain], send_trace, [None], "mw", 5])
def test_what_cannot_be_one_is_refused_when_the_queue_is_made(middleware: Any) -> None:
    with pytest.raises(SettingsError, match="middleware"):
        Queue("default", "redis://localhost", middleware=middleware)
