"""`inline()` and `Queue(is_async=False)`: jobs that run where they are enqueued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from aqueue import (
    DuplicateJobError,
    EnqueueUncertain,
    Job,
    Queue,
    QueueUnavailable,
    Retry,
    SettingsError,
    Worker,
    get_current_job,
    job,
)
from aqueue._redis.scripts import load
from aqueue.testing import inline, run_burst
from aqueue.workers import all_workers
from tests.api.conftest import hurry as hurry
from tests.api.proxy import Proxy
from tests.tasks import add, div_by_zero, nap, say_hello

ENQUEUE = load("enqueue").sha.encode()
#: What jobs of this module noted, in order.
notes: list[str] = []
meetings: list[asyncio.Barrier] = []
here: ContextVar[str] = ContextVar("here", default="nowhere")


@pytest.fixture(autouse=True)
def _no_notes() -> None:
    notes.clear()


async def note(text: str) -> str:
    notes.append(text)
    return here.get()


async def nest(depth: int) -> str:
    notes.append(f"begin {depth}")
    if depth:
        inner = await Queue().enqueue(nest, depth - 1)
        notes.append(f"inner is {inner.status}")
    current = get_current_job()
    assert current is not None
    return current.id


def note_in_thread(text: str) -> None:
    current = get_current_job()
    assert current is not None
    notes.append(f"{text} as {current.id}")


async def meet(name: str) -> None:
    """Ends when two of it run at the same time."""
    await meetings[-1].wait()


@job("decorated", timeout="1m")
def decorated(n: int) -> int:
    return n + 1


async def shared() -> str:
    current = get_current_job()
    assert current is not None
    return str(current.state)


async def test_enqueue_returns_the_ended_job(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(add, 1, 2)
    fetched = await Job.fetch(job.id)

    assert (job.status, job.result) == ("finished", 3)
    assert (fetched.status, fetched.result, fetched.origin) == ("finished", 3, "default")
    assert await queue.finished_job_registry.get_job_ids() == [job.id]
    assert await queue.count() == 0


async def test_a_queue_that_is_not_async_runs_its_jobs_itself(queue: Queue) -> None:
    job = await Queue(is_async=False).enqueue(add, 1, 2)
    other = await queue.enqueue(add, 1, 2)

    assert (job.status, job.result, other.status) == ("finished", 3, "queued")


async def test_a_failure_is_recorded_and_not_raised(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(div_by_zero, 1)

    assert job.is_failed
    assert job.exc_info is not None
    assert job.exc_info.endswith("ZeroDivisionError: division by zero")
    assert await queue.failed_job_registry.contains(job)


async def test_a_timeout_holds(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(nap, 30, job_timeout="20ms")

    assert job.exc_info is not None
    assert "JobTimeout" in job.exc_info


async def test_jobs_run_in_the_order_of_their_enqueues_and_in_the_context_of_the_caller(url: str) -> None:
    with inline():
        here.set("in the test")
        jobs = [await Queue(name).enqueue(note, name) for name in ("b", "a", "c")]

    assert notes == ["b", "a", "c"]
    assert [job.result for job in jobs] == ["in the test"] * 3


async def test_jobs_that_jobs_enqueue_run_too(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(nest, 2)

    assert notes == ["begin 2", "begin 1", "begin 0", "inner is finished", "inner is finished"]
    assert job.result == job.id


async def test_plain_functions_run_in_threads(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(note_in_thread, "ran")

    assert notes == [f"ran as {job.id}"]


async def test_two_that_are_enqueued_together_run_together(queue: Queue) -> None:
    meetings.append(asyncio.Barrier(2))
    with inline():
        jobs = await asyncio.gather(queue.enqueue(meet, "a"), queue.enqueue(meet, "b"))

    assert [job.status for job in jobs] == ["finished", "finished"]


async def test_those_that_wait_already_are_left_alone(queue: Queue) -> None:
    waiting = [await queue.enqueue(note, "waiting", priority=100, at_front=True) for _ in range(3)]
    with inline():
        job = await queue.enqueue(note, "now", priority=-100)

    assert (notes, job.priority) == (["now"], -100)
    assert await queue.get_job_ids() == [waiting[2].id, waiting[1].id, waiting[0].id]


async def test_no_other_worker_gets_them(queue: Queue) -> None:
    async with Worker(queue, name="other").running():
        with inline(name="here"):
            jobs = await asyncio.gather(*(queue.enqueue(add, 1, n) for n in range(5)))

    assert [job.worker_name for job in jobs] == ["here"] * 5


async def test_outside_of_the_block_they_wait_again(queue: Queue) -> None:
    with inline():
        pass

    assert (await queue.enqueue(add, 1, 2)).status == "queued"


async def test_what_is_for_later_is_scheduled(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue_in("1h", add, 1, 2)

    assert job.status == "scheduled"


async def test_many_run_one_after_the_other(queue: Queue) -> None:
    with inline():
        jobs = await queue.enqueue_many([queue.prepare_data(note, (name,)) for name in "abc"])

    assert notes == ["a", "b", "c"]
    assert [job.status for job in jobs] == ["finished"] * 3


async def test_many_end_at_the_first_that_cannot_be_enqueued(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2, job_id="b")
    with inline(), pytest.raises(DuplicateJobError) as caught:
        await queue.enqueue_many([queue.prepare_data(note, (name,), job_id=name) for name in "abc"])

    assert (notes, caught.value.enqueued, caught.value.not_enqueued) == (["a"], ["a"], ["b", "c"])


async def test_a_job_made_before_runs_when_it_is_enqueued(queue: Queue) -> None:
    job = Job.create(add, (1, 2))
    with inline():
        await queue.enqueue_job(job)

    assert (job.status, job.result) == ("finished", 3)


async def test_an_id_that_is_taken_runs_nothing(queue: Queue) -> None:
    first = await queue.enqueue(note, "first", job_id="a")
    second = await queue.enqueue(note, "second")
    with inline(), pytest.raises(DuplicateJobError):
        await queue.enqueue(note, "again", job_id="a")

    assert notes == []
    assert await queue.get_job_ids() == [first.id, second.id]
    await run_burst(queue)
    assert sorted(notes) == ["first", "second"]


async def test_a_result_that_is_not_kept_leaves_the_end(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(add, 1, 2, result_ttl=0)

    assert (job.status, job.func_name) == ("finished", "tests.tasks.add")
    assert not await Job.exists(job.id)


async def test_a_retry_waits_like_any(queue: Queue) -> None:
    with inline():
        job = await queue.enqueue(div_by_zero, 1, retry=Retry(max=1))

    assert (job.status, job.retries_left) == ("queued", 0)


async def test_in_a_paused_queue_they_wait(queue: Queue) -> None:
    await queue.pause()
    with inline():
        job = await queue.enqueue(add, 1, 2)

    assert job.status == "queued"
    assert await queue.get_job_ids() == [job.id]


async def test_the_workers_take_options(queue: Queue) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[str]:
        yield "shared"

    with inline(lifespan=lifespan):
        job = await queue.enqueue(shared)

    assert job.result == "shared"


def test_options_that_cannot_be_used_are_refused_at_once(url: str) -> None:
    with pytest.raises(SettingsError, match="lease"), inline(lease=0):
        pass
    with pytest.raises(TypeError, match="colour"), inline(colour="red"):
        pass


async def test_no_worker_stays_behind(queue: Queue) -> None:
    with inline():
        await queue.enqueue(say_hello)

    assert await all_workers() == []


async def test_cancelling_gives_the_job_back(queue: Queue) -> None:
    with inline(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await queue.enqueue(nap, 60, job_id="a")

    assert await (await Job.fetch("a")).get_status() == "queued"


async def test_cancelling_gives_the_job_back_whenever_it_comes(queue: Queue) -> None:
    await queue.count()
    with inline():
        for steps in range(40):
            task = asyncio.ensure_future(queue.enqueue(nap, 0))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    assert await queue.started_job_registry.count() == 0


async def test_cancelling_gives_the_job_back_also_while_the_lifespan_opens(queue: Queue) -> None:
    @asynccontextmanager
    async def slow() -> AsyncGenerator[None]:
        await asyncio.sleep(60)
        yield

    with inline(lifespan=slow), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await queue.enqueue(note, "ran", job_id="a")

    assert await (await Job.fetch("a")).get_status() == "queued"


async def test_a_lifespan_that_cannot_be_opened_leaves_the_job_to_others(queue: Queue) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None]:
        raise OSError("no database")
        yield

    with inline(lifespan=broken), pytest.raises(OSError, match="no database"):
        await queue.enqueue(note, "ran", job_id="a")

    assert await (await Job.fetch("a")).get_status() == "queued"


async def test_a_lifespan_that_cannot_be_closed_changes_nothing_about_the_outcome(queue: Queue) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[None]:
        yield
        raise OSError("no database")

    with inline(lifespan=broken), pytest.raises(OSError, match="no database"):
        await queue.enqueue(note, "ran", job_id="a")

    assert await (await Job.fetch("a")).get_status() == "finished"


@pytest.mark.parametrize("action", ["cut before", "cut after"])
async def test_a_lost_reply_runs_it_once(url: str, queue: Queue, action: Any) -> None:
    async with Proxy(url) as proxy, Queue(connection=proxy.url, is_async=False) as far:
        proxy.on(ENQUEUE, action)
        job = await far.enqueue(note, "ran")

    assert (job.status, notes) == ("finished", ["ran"])


async def test_an_unknown_outcome_is_uncertain_and_retry_settles_it(
    url: str, queue: Queue, hurry: None
) -> None:
    async with Proxy(url) as proxy, Queue(connection=proxy.url, is_async=False) as far:
        proxy.on(ENQUEUE, "cut before", times=float("inf"))
        with pytest.raises(EnqueueUncertain) as caught:
            await far.enqueue(note, "ran")
        proxy.clear()
        job = await caught.value.retry()

    assert (job.status, notes) == ("finished", ["ran"])


async def test_signed_jobs_run_too(url: str) -> None:
    queue = Queue(signing_key="a-key-that-is-long-enough", is_async=False)

    assert (await queue.enqueue(add, 1, 2)).result == 3


async def test_decorated_functions_run_at_their_delay(url: str) -> None:
    with inline():
        assert (await decorated.delay(1)).result == 2


async def test_the_errors_are_those_of_any_enqueue(url: str) -> None:
    queue = Queue(connection=url.replace("://", "://nobody:wrong@"), is_async=False)
    with pytest.raises(QueueUnavailable, match=r"job 'a' was not enqueued: .* refuses the credentials"):
        await queue.enqueue(add, 1, 2, job_id="a")
