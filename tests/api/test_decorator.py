"""`@job`: functions that know their queue and their options."""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import os
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aqueue
from aqueue import Job, JobFailed, Queue, SettingsError, Worker, job, use_connection
from aqueue.calls import EnqueueCall
from tests.api import decorated
from tests.servers import Server


async def work(*queues: str) -> None:
    await Worker(queues).work(burst=True)


async def test_delay_enqueues_in_the_queue_of_the_decorator_with_its_options(url: str) -> None:
    sent = await decorated.send.delay("anna", subject="Hi")

    stored = await Job.fetch(sent.id)
    assert (stored.origin, stored.func_name) == ("mail", "tests.api.decorated.send")
    assert (stored.args, stored.kwargs) == (("anna",), {"subject": "Hi"})
    assert (stored.timeout, stored.result_ttl, stored.retries_left) == (3600, 60, 2)
    assert (stored.priority, stored.meta) == (5, {"by": "decorator"})


async def test_workers_run_decorated_functions_coroutines_and_plain_ones(url: str) -> None:
    sent = await decorated.send.delay("anna", subject="Hi")
    added = await decorated.add.delay(1, 2)
    inner = await decorated.add_one.delay(5)
    await work("mail", "sums")

    assert await sent.wait(0) == f"Hi to anna as {sent.id}"
    assert (await added.wait(0), await inner.wait(0)) == (3, 6)


async def test_a_plain_call_runs_the_function_here(queue: Queue) -> None:
    assert decorated.add(1, b=2) == 3
    assert await decorated.send("anna", subject="Hi") == "Hi to anna as a call"
    assert await Queue.all() == []


async def test_options_count_for_one_delay_and_more_than_the_decorators(url: str) -> None:
    sent = await decorated.send.options(job_id="a", job_timeout=10, ttl=5).delay("anna")
    plain = await decorated.send.delay("bert")

    assert (sent.id, sent.timeout, sent.ttl, sent.result_ttl) == ("a", 10, 5, 60)
    assert (plain.timeout, plain.ttl) == (3600, None)


async def test_all_arguments_of_delay_are_the_functions_own(url: str) -> None:
    enqueued = await decorated.own_names.delay(ttl=1, timeout=2)
    await work("sums")

    assert (enqueued.ttl, await enqueued.wait(0)) == (None, 3)


async def test_a_queue_takes_the_options_but_is_itself_the_queue(queue: Queue) -> None:
    direct = await queue.enqueue(decorated.send, "anna", result_ttl=7)
    later = await queue.enqueue_in(60, decorated.send, "anna")
    bound = await queue.options(meta={"by": "call"}).enqueue(decorated.send, "anna", subject="Hi")
    [many] = await queue.enqueue_many([Queue.prepare_data(decorated.send, ("anna",), timeout=9)])
    reset = await queue.enqueue(decorated.send, "anna", job_timeout=None)
    made = await queue.enqueue_job(Job.create(decorated.send, ("anna",), result_ttl=8))

    assert {each.origin for each in (direct, later, bound, many, reset, made)} == {"default"}
    assert (direct.timeout, direct.result_ttl, direct.meta) == (3600, 7, {"by": "decorator"})
    assert (later.timeout, bound.meta, many.timeout) == (3600, {"by": "call"}, 9)
    assert reset.timeout == 180
    assert (made.timeout, made.result_ttl, made.priority, made.meta) == (3600, 8, 5, {"by": "decorator"})


async def test_the_connection_is_the_one_of_the_call(
    server: Server, namespace: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    monkeypatch.setenv("AQUEUE_URL", "redis://localhost:1/0")
    with use_connection(server.url):
        pushed = await decorated.add.delay(1, 2)
    monkeypatch.setenv("AQUEUE_URL", server.url)
    named = await decorated.add.delay(1, 2)

    assert await Queue("sums").get_job_ids() == [pushed.id, named.id]


async def test_a_queue_or_a_connection_may_be_given(queue: Queue, url: str) -> None:
    by_queue = job(queue, timeout=5)(decorated.add.__wrapped__)
    by_connection = job("other", url, 6)(decorated.add.__wrapped__)

    assert (await by_queue.delay(1, 2)).origin == "default"
    first = await by_connection.delay(1, 2)
    assert (first.origin, first.timeout) == ("other", 6)


def test_it_looks_like_the_function_and_is_pickled_and_copied_as_one() -> None:
    assert (decorated.send.__name__, decorated.send.__doc__) == ("send", "Send a mail.")
    assert list(inspect.signature(decorated.send).parameters) == ["to", "subject"]
    assert pickle.loads(pickle.dumps(decorated.send)) is decorated.send
    assert copy.deepcopy(decorated.send) is decorated.send
    assert repr(decorated.send) == "<JobFunction tests.api.decorated.send>"


async def test_a_job_finds_its_decorated_function(queue: Queue) -> None:
    enqueued = await queue.enqueue(decorated.add, 1, 2)

    assert enqueued.func is decorated.add


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": "no spaces"}, "queue name"),
        ({"queue": decorated.Holder.plain}, r'write @job\("default"\)'),
        ({"queue": "mail", "timeout": 0}, "job_timeout=0"),
        ({"queue": "mail", "ttl": "soon"}, "ttl='soon'"),
        ({"queue": "mail", "tll": 5}, "unknown option tll"),
        ({"queue": "mail", "job_id": "a"}, "one id"),
        ({"queue": "mail", "connection": "http://x"}, "http"),
        (
            {"queue": Queue("mail", "redis://127.0.0.1:1"), "connection": "redis://127.0.0.1:2"},
            "leave connection= out",
        ),
    ],
)
def test_bad_settings_are_named_where_the_decorator_stands(options: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        job(**options)


@pytest.mark.parametrize("target", [functools.partial(print), decorated.Holder, decorated.add, 5])
def test_only_functions_can_be_decorated(target: Any) -> None:
    with pytest.raises(SettingsError, match="@job is"):
        job("mail")(target)


def test_a_method_cannot_be_decorated() -> None:
    with pytest.raises(SettingsError, match=r"Holder\.method, which belongs to a class: .*queue\.enqueue"):

        class Holder:  # pyright: ignore[reportUnusedClass]
            @job("mail")
            def method(self) -> None: ...


async def test_what_no_worker_could_import_is_refused_at_delay(url: str) -> None:
    @job("mail")
    def nested(x: int) -> int:
        return x

    anonymous = job("mail")(lambda: 1)

    assert nested(3) == 3
    with pytest.raises(SettingsError, match="defined inside another function"):
        await nested.delay(3)
    with pytest.raises(SettingsError, match="lambda"):
        await anonymous.delay()
    assert await Queue.all() == []


def test_no_module_hides_the_decorator() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("aqueue.job")
    assert aqueue.job is job is importlib.import_module("aqueue.decorators").job


async def test_middleware_of_a_queue_sees_the_decorators_options(url: str) -> None:
    seen: list[tuple[dict[str, Any], Any]] = []

    async def note(call: EnqueueCall, call_next: Callable[[], Awaitable[Job[Any]]]) -> Job[Any]:
        seen.append((call.meta, call.options.pop("priority")))
        return await call_next()

    queue = Queue(middleware=[note])
    await queue.enqueue(decorated.send, "anna")
    [many] = await queue.enqueue_many([Queue.prepare_data(decorated.send, ("anna",))])

    assert seen == [({"by": "decorator"}, 5)] * 2
    assert (many.timeout, many.priority, many.meta) == (3600, 0, {"by": "decorator"})


async def test_a_worker_with_an_allow_list_runs_decorated_functions(url: str) -> None:
    added = await decorated.add.delay(1, 2)
    other = await Queue("sums").enqueue(decorated.Holder.plain)
    await Worker(["sums"], allow=[]).work(burst=True)

    assert await added.wait(0) == 3
    with pytest.raises(JobFailed, match="not allowed"):
        await other.wait(0)


async def test_the_decorator_says_where_its_jobs_run(url: str) -> None:
    plain, coroutine = await decorated.process_id.delay(), await decorated.async_process_id.delay()
    await work("sums")

    assert os.getpid() not in {await plain.wait(0), await coroutine.wait(0)}
