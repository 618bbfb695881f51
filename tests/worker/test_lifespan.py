"""`Worker(lifespan=...)`: what jobs share is open before the first of them and until the last has ended."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

import aqueue.sync
from aqueue import Job, Queue, SettingsError, Worker, get_current_job
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import burst, last_line, make_worker, start, status, working
from tests.worker.jobs import Probe

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="untouched")


class Shared:
    """What a lifespan opens here."""

    def __init__(self) -> None:
        #: What happened, in order.
        self.notes: list[str] = []

    @asynccontextmanager
    async def __call__(self, worker: Worker) -> AsyncGenerator[Shared]:
        """No `finally`, as most people write it."""
        self.notes.append(f"open for {worker.name}")
        await asyncio.sleep(0)
        yield self
        await asyncio.sleep(0)
        self.notes.append("closed")


@pytest.fixture
def shared() -> Shared:
    return Shared()


async def use(note: str) -> str:
    job = get_current_job()
    assert job is not None
    assert "closed" not in job.state.notes
    job.state.notes.append(note)
    return type(job.state).__name__


def use_in_thread(note: str) -> bool:
    job, sync_job = get_current_job(), aqueue.sync.get_current_job()
    assert job is not None
    assert sync_job is not None
    job.state.notes.append(note)
    return sync_job.state is job.state


async def tell_state() -> str:
    job = get_current_job()
    assert job is not None
    return repr(job.state)


async def use_when_ending(note: str) -> None:
    """Use what is shared while being cancelled."""
    try:
        await use("running")
        await asyncio.sleep(20)
    finally:
        await asyncio.sleep(0)
        await use(note)


async def read_variable() -> str:
    return variable.get()


async def test_jobs_in_coroutines_and_threads_share_what_it_yielded(queue: Queue, shared: Shared) -> None:
    first = await queue.enqueue(use, "coroutine")
    second = await queue.enqueue(use_in_thread, "thread")
    await burst(queue, lifespan=shared, name="anna", concurrency=1)

    assert (await first.wait(0), await second.wait(0)) == ("Shared", True)
    assert shared.notes == ["open for anna", "coroutine", "thread", "closed"]


async def test_it_is_opened_before_the_first_claim(queue: Queue, shared: Shared) -> None:
    job = await queue.enqueue(use, "job")

    @asynccontextmanager
    async def lifespan(worker: Worker) -> AsyncGenerator[Shared]:
        assert await status(job) == "queued"
        async with shared(worker):
            yield shared
        assert await status(job) == "finished"

    assert await burst(queue, lifespan=lifespan)
    assert shared.notes[-1] == "closed"


async def test_without_one_the_state_is_none(queue: Queue) -> None:
    job = await queue.enqueue(tell_state)
    await burst(queue)

    assert await job.wait(0) == "None"


async def test_it_may_take_nothing_and_be_a_class(queue: Queue) -> None:
    class Opened:
        async def __aenter__(self) -> str:
            return "an instance's"

        async def __aexit__(self, *exc_info: object) -> None:
            pass

    @asynccontextmanager
    async def nothing() -> AsyncGenerator[str]:
        yield "nothing's"

    @asynccontextmanager
    async def a_default(state: str = "the default's") -> AsyncGenerator[str]:
        yield state

    states = {Opened: "an instance's", nothing: "nothing's", a_default: "the default's"}
    for lifespan, state in states.items():
        job = await queue.enqueue(tell_state)
        await burst(queue, lifespan=lifespan)
        assert await job.wait(0) == repr(state)


async def test_each_work_opens_it_anew(queue: Queue, shared: Shared) -> None:
    worker = make_worker(queue, lifespan=shared, name="anna")
    await worker.work(burst=True)
    await worker.work(burst=True)

    assert shared.notes == ["open for anna", "closed"] * 2


async def test_jobs_elsewhere_have_no_state(queue: Queue, shared: Shared) -> None:
    job = await queue.enqueue(use, "job")
    await burst(queue, lifespan=shared)

    for other in (job, await Job.fetch(job.id), Job.create(tasks.add)):
        with pytest.raises(RuntimeError, match=f"job '{other.id}' has no state here"):
            _ = other.state


async def test_jobs_in_child_processes_have_no_state(queue: Queue, shared: Shared) -> None:
    job = await queue.options(executor="process").enqueue(tell_state)
    await burst(queue, lifespan=shared)

    assert "has no state here" in await last_line(job)


async def test_context_variables_set_while_opening_are_seen_by_jobs(queue: Queue) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        variable.set("from the lifespan")
        yield

    job = await queue.enqueue(read_variable)
    await burst(queue, lifespan=lifespan)

    assert await job.wait(0) == "from the lifespan"


# -- the end


@pytest.mark.parametrize("grace", [0, 5])
async def test_it_is_closed_after_the_drain(queue: Queue, shared: Shared, grace: float) -> None:
    worker = make_worker(queue, lifespan=shared, grace=grace, cleanup=5)
    task = await start(worker)
    job = await queue.enqueue(use_when_ending, "ended", job_timeout=0.3)
    await wait_until(lambda: "running" in shared.notes)
    await worker.stop()
    await task

    assert shared.notes[1:] == ["running", "ended", "closed"]
    assert await status(job) == ("queued" if grace == 0 else "failed")


async def test_a_cancelled_worker_closes_it_with_awaits_and_without_a_finally(
    queue: Queue, shared: Shared
) -> None:
    task = await start(make_worker(queue, lifespan=shared, cleanup=5))
    await queue.enqueue(use_when_ending, "ended")
    await wait_until(lambda: "running" in shared.notes)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert shared.notes[1:] == ["running", "ended", "closed"]


async def test_a_cancelled_scope_closes_it_with_awaits(queue: Queue, shared: Shared) -> None:
    worker = make_worker(queue, lifespan=shared, cleanup=5)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.work)
        await queue.enqueue(use_when_ending, "ended")
        await wait_until(lambda: "running" in shared.notes)
        group.cancel_scope.cancel()

    assert shared.notes[1:] == ["running", "ended", "closed"]


async def test_one_that_swallows_everything_does_not_swallow_the_cancellation(queue: Queue) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        try:
            yield
        except BaseException:
            pass

    task = await start(make_worker(queue, lifespan=lifespan))
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_running_opens_and_closes_it(queue: Queue, shared: Shared) -> None:
    async with working(queue, lifespan=shared, name="anna"):
        assert shared.notes == ["open for anna"]
        await (await queue.enqueue(use, "job")).wait(5)

    assert shared.notes[1:] == ["job", "closed"]


def begin(group: Any, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    if isinstance(group, asyncio.TaskGroup):
        group.create_task(function())
    else:
        group.start_soon(function)


@pytest.mark.parametrize("make", [asyncio.TaskGroup, anyio.create_task_group])
async def test_a_task_of_its_own_that_fails_ends_the_worker(
    queue: Queue, probe: Probe, probe_name: str, make: Callable[[], Any]
) -> None:
    """And the jobs that ran go back to their queue."""
    fall = asyncio.Event()

    async def fall_over() -> None:
        await fall.wait()
        raise OSError("the feed is gone")

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with make() as group:
            begin(group, fall_over)
            yield

    task = await start(make_worker(queue, lifespan=lifespan))
    job = await queue.enqueue(jobs.hold, probe_name)
    await wait_until(lambda: probe.running)
    fall.set()

    with pytest.raises(ExceptionGroup) as caught:
        await task
    assert [str(error) for error in caught.value.exceptions] == ["the feed is gone"]
    assert await status(job) == "queued"


# -- errors


async def test_an_error_while_opening_ends_work_before_any_claim(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        raise OSError("no database")
        yield

    job = await queue.enqueue(tasks.add, 1, 2)
    worker = make_worker(queue, lifespan=lifespan)
    with pytest.raises(OSError, match="no database"):
        await worker.work(burst=True)
    with pytest.raises(OSError, match="no database"):
        async with worker.running():
            pytest.fail("it is not open")

    assert await status(job) == "queued"
    assert isinstance(worker.lifespan_error, OSError)
    [first, _] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert first.getMessage() == "the lifespan failed to open"
    assert first.exc_info is not None


async def test_an_error_while_closing_is_logged_and_raised_after_the_drain(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield
        raise OSError("cannot flush")

    job = await queue.enqueue(tasks.add, 1, 2)
    with pytest.raises(OSError, match="cannot flush"):
        await burst(queue, lifespan=lifespan)

    assert await job.wait(0) == 3
    assert "the lifespan failed to close" in caplog.text


async def test_a_timeout_of_the_lifespan_s_own_is_an_error_like_any_other(queue: Queue) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
        yield

    with pytest.raises(TimeoutError):
        await burst(queue, lifespan=lifespan)


@asynccontextmanager
async def takes_two(worker: Worker, more: int) -> AsyncGenerator[None]:
    yield


async def generate(worker: Worker) -> AsyncGenerator[None]:
    yield


async def just_a_coroutine(worker: Worker) -> None:
    pass


@pytest.mark.parametrize(
    ("lifespan", "says"),
    [
        (5, "not a function"), ("module:func", "not a function"), (Shared()(Worker()), "not called"),
        (generate, "asynccontextmanager"), (just_a_coroutine, "asynccontextmanager"),
        (takes_two, "needs more"), (Probe, "no class of context managers"),
    ],
)  # fmt: skip
def test_what_cannot_be_one_is_refused_when_the_worker_is_made(lifespan: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Worker("default", "redis://localhost", lifespan=lifespan)


async def test_a_plain_context_manager_is_refused_before_any_claim(queue: Queue) -> None:
    @contextmanager
    def lifespan(worker: Worker) -> Generator[None]:
        yield

    job = await queue.enqueue(tasks.add, 1, 2)
    with pytest.raises(SettingsError, match="asynccontextmanager"):
        await burst(queue, lifespan=lifespan)

    assert await status(job) == "queued"


# -- a stop at the wrong moment


class Stuck:
    """A lifespan that hangs while opening or while closing."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.notes: list[str] = []

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[None]:
        await self._step("opening")
        yield
        await self._step("closing")

    async def _step(self, name: str) -> None:
        self.notes.append(name)
        if name == self.where:
            try:
                await asyncio.sleep(30)
            finally:
                await asyncio.sleep(0)
                self.notes.append("cut short")


async def test_a_stop_while_it_opens_gives_it_up(queue: Queue) -> None:
    stuck = Stuck("opening")
    job = await queue.enqueue(tasks.add, 1, 2)
    worker = make_worker(queue, lifespan=stuck)
    task = asyncio.create_task(worker.work())
    await wait_until(lambda: stuck.notes)
    await worker.stop()
    await worker.stop()

    assert not await task
    assert stuck.notes == ["opening", "cut short"]
    assert await status(job) == "queued"
    assert worker.lifespan_error is None


async def test_a_stop_before_it_opens_does_not_open_it(queue: Queue, shared: Shared) -> None:
    worker = make_worker(queue, lifespan=shared)
    task = asyncio.create_task(worker.work())
    await worker.stop()

    assert not await task
    assert shared.notes == []


async def test_a_cancellation_while_it_opens_arrives(queue: Queue) -> None:
    stuck = Stuck("opening")
    task = asyncio.create_task(make_worker(queue, lifespan=stuck).work())
    await wait_until(lambda: stuck.notes)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert stuck.notes == ["opening", "cut short"]


async def test_only_a_second_signal_cuts_a_closing_short(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aqueue")
    stuck = Stuck("closing")
    worker = make_worker(queue, lifespan=stuck)
    task = asyncio.create_task(worker.work(burst=True))
    await wait_until(lambda: "closing" in stuck.notes)
    signal.raise_signal(signal.SIGTERM)
    await wait_until(lambda: "no new jobs" in caplog.text)
    assert stuck.notes == ["opening", "closing"]
    signal.raise_signal(signal.SIGTERM)

    assert not await task
    assert stuck.notes == ["opening", "closing", "cut short"]
    assert worker.was_forced
    assert "not closed to its end" in caplog.text
