"""`Worker(middleware=[...])`: users' code around the execution of each job."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, JobFailed, JobMiddleware, Queue, Retry, SettingsError, Worker, get_current_job
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs, process_jobs
from tests.worker.hands import burst, last_line, record, start, status, working
from tests.worker.jobs import Probe

CallNext = Callable[[], Awaitable[Any]]

trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="")


class Watcher:
    """Notes what passes."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name = name
        self.notes = notes

    async def __call__(self, job: Job[Any], call_next: CallNext) -> Any:
        assert get_current_job() is job
        self.notes.append(f"{self.name} before {job.id}")
        try:
            value = await call_next()
        except BaseException as error:
            self.notes.append(f"{self.name} saw {type(error).__name__}")
            raise
        self.notes.append(f"{self.name} saw {value}")
        return value


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def watcher(notes: list[str]) -> Watcher:
    return Watcher("w", notes)


async def tell_trace() -> str:
    await asyncio.sleep(0)
    return trace.get()


def tell_trace_in_thread() -> str:
    return trace.get()


async def test_the_first_is_the_outermost(queue: Queue, notes: list[str]) -> None:
    job = await queue.enqueue(tasks.add, 1, 2, job_id="j")
    await burst(queue, middleware=[Watcher("outer", notes), Watcher("inner", notes)])

    assert await job.wait(0) == 3
    assert notes == ["outer before j", "inner before j", "inner saw 3", "outer saw 3"]


async def test_it_is_around_threads_too(queue: Queue, watcher: Watcher) -> None:
    good = await queue.enqueue(tasks.say_hello, job_id="good")
    bad = await queue.enqueue(tasks.div_by_zero, 1, job_id="bad")
    await burst(queue, middleware=[watcher], concurrency=1)

    assert (await status(good), await status(bad)) == ("finished", "failed")
    assert watcher.notes == [
        "w before good",
        "w saw Hello, world!",
        "w before bad",
        "w saw ZeroDivisionError",
    ]


@pytest.mark.parametrize("func", [tell_trace, tell_trace_in_thread])
async def test_jobs_see_context_variables_that_it_sets(queue: Queue, func: Any) -> None:
    async def set_trace(job: Job[Any], call_next: CallNext) -> Any:
        trace.set(job.meta["trace"])
        return await call_next()

    several = [await queue.enqueue(func, meta={"trace": name}) for name in "abc"]
    await burst(queue, middleware=[set_trace])

    assert [await job.wait(0) for job in several] == ["a", "b", "c"]
    assert trace.get() == ""


async def test_what_it_returns_is_the_result(queue: Queue) -> None:
    async def double(job: Job[Any], call_next: CallNext) -> Any:
        return 2 * await call_next()

    async def instead(job: Job[Any], call_next: CallNext) -> Any:
        return "not run" if job.args == (0, 0) else await call_next()

    first, second = await queue.enqueue(tasks.add, 1, 2), await queue.enqueue(tasks.add, 0, 0)
    await burst(queue, middleware=[instead, double])

    assert [await first.wait(0), await second.wait(0)] == [6, "not run"]


async def test_what_it_raises_is_the_job_s_failure_and_retried(queue: Queue, space: Namespace) -> None:
    async def refuse(job: Job[Any], call_next: CallNext) -> Any:
        raise PermissionError("not on Sundays")

    job = await queue.enqueue(tasks.add, 1, 2)
    retried = await queue.enqueue(tasks.add, 1, 2, retry=Retry(max=3, interval=60))
    await burst(queue, middleware=[refuse])

    assert await last_line(job) == "PermissionError: not on Sundays"
    stored = await record(retried, space)
    assert (stored.status, stored.attempts) == ("scheduled", 1)


async def test_an_exception_that_it_handles_is_none(queue: Queue) -> None:
    async def forgive(job: Job[Any], call_next: CallNext) -> Any:
        try:
            return await call_next()
        except ValueError as error:
            return f"forgiven: {error}"

    job: Job[object] = await queue.enqueue(jobs.fail_with, "ValueError", "oops")
    await burst(queue, middleware=[forgive])

    assert await job.wait(0) == "forgiven: oops"


async def test_the_traceback_shows_it_and_the_job_and_nothing_of_ours(queue: Queue, watcher: Watcher) -> None:
    job = await queue.enqueue(jobs.fail_with, "KeyError", "oops")
    await burst(queue, middleware=[watcher])

    await job.refresh()
    assert job.exc_info is not None
    assert "value = await call_next()" in job.exc_info
    assert "in fail_with" in job.exc_info
    assert "aqueue/worker" not in job.exc_info


async def test_a_result_of_its_that_cannot_be_encoded_fails_the_job(queue: Queue) -> None:
    async def spoil(job: Job[Any], call_next: CallNext) -> Any:
        return lambda: None

    job = await queue.enqueue(tasks.add, 1, 2)
    await burst(queue, middleware=[spoil])

    assert "PayloadError: the result of job" in await last_line(job)


# -- time limits and requests to end


@pytest.mark.parametrize("when", ["before", "after"])
async def test_one_that_hangs_ends_at_the_job_s_timeout(queue: Queue, notes: list[str], when: str) -> None:
    async def hang(job: Job[Any], call_next: CallNext) -> Any:
        value = await call_next() if when == "after" else None
        try:
            await asyncio.sleep(30)
        finally:
            notes.append("cleaned up")
        return value

    job = await queue.enqueue(tasks.add, 1, 2, job_timeout="100ms")
    await burst(queue, middleware=[hang], cleanup=2)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert notes == ["cleaned up"]


async def test_one_that_swallows_the_timeout_changes_nothing(queue: Queue, watcher: Watcher) -> None:
    async def swallow(job: Job[Any], call_next: CallNext) -> Any:
        try:
            return await call_next()
        except asyncio.CancelledError:
            return "as if nothing had happened"

    job = await queue.enqueue(tasks.nap, 30, job_timeout="100ms", job_id="j")
    await burst(queue, middleware=[swallow, watcher], cleanup=2)

    assert (await last_line(job)).startswith("JobTimeout: ")
    assert watcher.notes == ["w before j", "w saw CancelledError"]


async def test_one_that_never_ends_is_given_up(queue: Queue, probe: Probe, probe_name: str) -> None:
    async def swallow(job: Job[Any], call_next: CallNext) -> Any:
        return await jobs.swallow(probe_name)

    async with working(queue, middleware=[swallow], cleanup=0.05) as worker:
        job = await queue.enqueue(tasks.add, 1, 2, job_timeout="50ms")
        await wait_until(lambda: probe.notes)

        async def has_failed() -> bool:
            return await status(job) == "failed"

        await wait_until(has_failed)
        assert worker.has_zombies
        probe.open()
        await wait_until(lambda: not worker.has_zombies)


async def test_a_stop_request_passes_through_it(queue: Queue, watcher: Watcher) -> None:
    async with working(queue, middleware=[watcher], cleanup=2):
        job = await queue.enqueue(tasks.nap, 30)
        await wait_until(lambda: watcher.notes)
        await job.stop()

        async def has_stopped() -> bool:
            return await status(job) == "stopped"

        await wait_until(has_stopped)
    assert watcher.notes[1:] == ["w saw CancelledError"]


async def test_a_shutdown_releases_a_job_that_it_holds_back(queue: Queue, space: Namespace) -> None:
    waiting: list[str] = []

    async def limit(job: Job[Any], call_next: CallNext) -> Any:
        waiting.append(job.id)
        await asyncio.sleep(30)
        return await call_next()

    async with working(queue, middleware=[limit], grace=0, cleanup=2):
        job = await queue.enqueue(tasks.add, 1, 2)
        await wait_until(lambda: waiting)

    stored = await record(job, space)
    assert (stored.status, stored.releases) == ("queued", 1)


async def test_a_job_that_was_asked_to_end_is_not_begun(
    queue: Queue, probe: Probe, probe_name: str, notes: list[str]
) -> None:
    async def hesitate(job: Job[Any], call_next: CallNext) -> Any:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            notes.append("swallowed")
        return await call_next()

    job = await queue.enqueue(jobs.note, probe_name, "begun", job_timeout="50ms")
    await burst(queue, middleware=[hesitate], cleanup=2)

    assert await status(job) == "failed"
    assert notes == ["swallowed"]
    assert probe.notes == []


@pytest.mark.parametrize("func", [jobs.note, jobs.hold_thread])
async def test_call_next_runs_the_job_once(queue: Queue, probe: Probe, probe_name: str, func: Any) -> None:
    async def again(job: Job[Any], call_next: CallNext) -> Any:
        await call_next()
        return await call_next()

    probe.open()
    job = await queue.enqueue(func, probe_name, "ran")
    await burst(queue, middleware=[again])

    assert (await last_line(job)).startswith("RuntimeError: call_next() has run the job already")
    assert probe.notes == ["ran"]


async def test_call_next_does_not_run_a_job_that_has_ended(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    left: list[asyncio.Task[None]] = []

    async def later(call_next: CallNext) -> None:
        await probe.opened()
        await call_next()

    async def accept(job: Job[Any], call_next: CallNext) -> Any:
        left.append(asyncio.create_task(later(call_next)))
        return "accepted"

    job = await queue.enqueue(jobs.note, probe_name, "ran")
    await burst(queue, middleware=[accept])
    probe.open()
    with pytest.raises(RuntimeError, match="its middleware has returned"):
        await left[0]

    assert (await job.wait(0), probe.notes) == ("accepted", [])


async def test_a_thread_that_it_leaves_behind_keeps_its_slot(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async def impatient(job: Job[Any], call_next: CallNext) -> Any:
        try:
            async with asyncio.timeout(0.1):
                return await call_next()
        except TimeoutError:
            return "gave up"

    async with working(queue, middleware=[impatient], concurrency=1) as worker:
        job = await queue.enqueue(jobs.hold_thread, probe_name)
        assert await job.wait(5) == "gave up"
        [zombie] = worker._run.running.zombies if worker._run else []
        assert zombie.lease.job_id == job.id
        later = await queue.enqueue(tasks.add, 1, 2)
        probe.open()
        assert await later.wait(5) == 3


async def test_one_that_hangs_after_a_thread_is_cancelled_at_a_shutdown(
    queue: Queue, space: Namespace, notes: list[str]
) -> None:
    async def hang(job: Job[Any], call_next: CallNext) -> Any:
        await call_next()
        notes.append("hangs")
        await asyncio.sleep(30)

    async with asyncio.timeout(10), working(queue, middleware=[hang], grace=0, cleanup=20):
        job = await queue.enqueue(tasks.say_hello)
        await wait_until(lambda: notes)

    assert (await record(job, space)).releases == 1


# -- child processes


async def test_it_is_around_child_processes_too(queue: Queue, watcher: Watcher) -> None:
    async def double(job: Job[Any], call_next: CallNext) -> Any:
        return 2 * await call_next()

    process = queue.options(executor="process")
    good = await process.enqueue(process_jobs.add, 1, 2)
    bad = await process.enqueue(tasks.div_by_zero, 1)
    await burst(queue, middleware=[double, watcher], concurrency=1)

    assert await good.wait(0) == 6
    assert await last_line(bad) == "ZeroDivisionError: division by zero"
    assert watcher.notes[1::2] == ["w saw 3", "w saw FailedInChild"]


async def test_the_exception_of_a_child_process_is_a_job_failed(queue: Queue) -> None:
    async def forgive(job: Job[Any], call_next: CallNext) -> Any:
        try:
            return await call_next()
        except JobFailed as error:
            return error.type, error.message

    job: Job[Any] = await queue.options(executor="process").enqueue(tasks.div_by_zero, 1)
    await burst(queue, middleware=[forgive])

    assert await job.wait(0) == ("ZeroDivisionError", "division by zero")


async def test_one_that_hangs_before_a_child_process_ends_at_the_job_s_timeout(queue: Queue) -> None:
    async def hang(job: Job[Any], call_next: CallNext) -> Any:
        await asyncio.sleep(30)
        return await call_next()

    job = await queue.options(executor="process", job_timeout=0.1).enqueue(process_jobs.add, 1, 2)
    await burst(queue, middleware=[hang])

    assert (await last_line(job)).startswith("JobTimeout: ")


async def test_waiting_for_a_child_process_is_not_the_job_s_time(
    queue: Queue, watcher: Watcher, tmp_path: Path
) -> None:
    process = queue.options(executor="process")
    async with working(queue, middleware=[watcher], max_children=1):
        holding = await process.enqueue(process_jobs.hold, str(tmp_path))
        await wait_until((tmp_path / "begun").exists, timeout=20)
        waiting = await queue.options(executor="process", job_timeout=0.3).enqueue(process_jobs.add, 1, 2)
        short = await queue.enqueue(tasks.nap, 30, job_timeout=0.4)  # begins later, ends later
        with pytest.raises(JobFailed):
            await short.wait(20)
        (tmp_path / "go").touch()

        assert (await holding.wait(20), await waiting.wait(20)) == ("went", 3)


# -- what can be one


async def one(job: Job[Any], call_next: CallNext) -> Any:
    return await call_next()


def plain(job: Job[Any], call_next: CallNext) -> Any:
    return call_next()


async def takes_one(job: Job[Any]) -> Any:
    pass


@pytest.mark.parametrize(
    ("middleware", "says"),
    [
        (one, r"must be a list"), (5, r"must be a list"), ("mw", "cannot be used"), ([plain], "async def"),
        ([one, takes_one], "takes_one.*cannot be used"), ([Watcher], "Watcher is a class"), ([None], "None"),
    ],
)  # fmt: skip
def test_what_cannot_be_one_is_refused_when_the_worker_is_made(middleware: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Worker("default", "redis://localhost", middleware=middleware)


def test_any_iterable_of_them_will_do() -> None:
    listed: list[JobMiddleware] = [one, Watcher("w", [])]

    assert list(Worker("default", "redis://localhost", middleware=iter(listed)).settings.middleware) == listed


async def test_without_one_a_job_is_awaited_directly(queue: Queue, probe: Probe, probe_name: str) -> None:
    """Nothing stands between the task and the job's coroutine, nor between its layers."""

    async def depth(middleware: list[JobMiddleware]) -> int:
        task = await start(Worker(queue, middleware=middleware))
        await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        [job_task] = [each for each in asyncio.all_tasks() if "Executor._run" in repr(each)]
        names: list[str] = []
        awaited: Any = job_task.get_coro()
        while hasattr(awaited, "cr_await"):
            names.append(awaited.__qualname__)
            awaited = awaited.cr_await
        task.cancel()
        await asyncio.wait([task])
        await queue.empty()
        return names.index("hold")

    assert await depth([]) == 2
    assert await depth([one]) == 3
