"""Run one lease to its outcome: the only place where users' code is called.

Knows functions, threads and cancellation; knows nothing of Redis. Each job is a plain asyncio task
in a context of its own, ended by edge cancellation: under an anyio scope a job's own
`finally: await ...` would be cancelled again at once.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import anyio
import anyio.to_thread

from aqueue._core.clock import to_seconds
from aqueue._core.failure import describe_exception
from aqueue._core.functions import UnknownFunction
from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.record import JobRecord
from aqueue.connection import Namespace
from aqueue.current import current_job
from aqueue.errors import JobTimeout
from aqueue.jobs import Job
from aqueue.middleware import around
from aqueue.worker.calling import Calls
from aqueue.worker.children import Children, FailedInChild, UnknownInChild
from aqueue.worker.copies import end_copy
from aqueue.worker.lifespan import Lifespan
from aqueue.worker.running import Ask, Execution
from aqueue.worker.settings import WorkerSettings

#: Waits before an unknown function is tried by another worker, seconds; the last one repeats.
MISS_DELAYS_MS = (1_000, 2_000, 4_000, 8_000, 16_000, 30_000)
#: After so many misses, about ten minutes, the function counts as gone for good.
MAX_MISSES = 24

#: What an execution is told when it is asked to end; it arrives as the CancelledError's message.
_MESSAGES = {ask: f"aqueue: {ask.value}" for ask in Ask}


class Executor:
    """Starts executions and reports how they end."""

    def __init__(
        self,
        space: Namespace,
        settings: WorkerSettings,
        lifespan: Lifespan,
        *,
        begun: Callable[[Execution], None],
        decided: Callable[[Execution, Outcome | None], None],
        over: Callable[[Execution], None],
        outlived: Callable[[Execution], None],
        leaving: Callable[[], bool],
    ) -> None:
        """Make an executor.

        Args:
            begun: Called when its time begins: at once, or when a child process is free for it.
            decided: Called once per execution with its outcome; None: nothing is to be recorded.
            over: Called when its code runs no more, maybe later than `decided`, maybe before.
            outlived: Called when an execution was given up and its code runs on.
            leaving: Whether the worker itself is being cancelled.
        """
        self._space = space
        self._calls = Calls(space.codec)
        self._limiter = anyio.CapacityLimiter(settings.concurrency)
        self._middleware = settings.middleware
        self._lifespan = lifespan
        self._children = Children(space, settings.max_children)
        self._default = settings.executor
        self._begun = begun
        self._decided = decided
        self._over = over
        self._outlived = outlived
        self._leaving = leaving
        self._pid = os.getpid()
        self._loop = asyncio.get_running_loop()

    def start(self, lease: Lease) -> Execution:
        """Start a task for the lease."""
        execution = Execution(lease)
        # No create_task(): the factory is for tasks that jobs make, see `contained_tasks`.
        execution.task = asyncio.Task(self._run(execution), loop=self._loop, name=lease.job_id)
        return execution

    def ask(self, execution: Execution, ask: Ask) -> bool:
        """Ask an execution to end, unless it was asked before; others replace a shutdown. Whether it did."""
        if execution.is_decided or execution.asked is ask or execution.asked not in (None, Ask.SHUTDOWN):
            return False
        execution.asked = ask
        if not (ask is Ask.SHUTDOWN and execution.thread is not None):
            self.cancel(
                execution
            )  # a thread cannot be cancelled: at a shutdown it has the cleanup time to return
        return True

    def cancel(self, execution: Execution) -> None:
        """Cancel the task once more."""
        if not execution.has_begun:  # cancelled now, its coroutine would never run and nobody would know
            asyncio.get_running_loop().call_soon(self.cancel, execution)
        elif execution.task is not None and execution.asked is not None:
            execution.task.cancel(_MESSAGES[execution.asked])

    def give_up(self, execution: Execution) -> None:
        """Decide the outcome although the code still runs: it was asked to end and has not."""
        self.cancel(execution)
        self._decide(execution, self._asked_for(execution, None) or Released())
        self._outlived(execution)

    async def close(self) -> None:
        """End the child processes."""
        await self._children.close()

    def _decide(self, execution: Execution, outcome: Outcome | None) -> None:
        if not execution.is_decided:
            execution.is_decided = True
            self._decided(execution, outcome if execution.asked is not Ask.LOST else None)

    async def _run(self, execution: Execution) -> None:
        execution.has_begun = True
        record = execution.lease.record
        job: Job[Any] = Job(record, self._space)
        job._token = execution.lease.token
        job._state = self._lifespan.state
        job._asked = execution.why
        current_job.set(job)
        try:
            outcome = await self._outcome(execution, job, record)
        except BaseException as error:  # also a cancellation between two steps of ours
            outcome = self._raised(execution, error)
        self._decide(execution, outcome)
        if execution.thread is None or self._thread_is_over(execution):
            self._end(execution)
        else:
            self._outlived(execution)

    def _end(self, execution: Execution) -> None:
        if not execution.is_over:
            execution.is_over = True
            self._over(execution)

    async def _outcome(self, execution: Execution, job: Job[Any], record: JobRecord) -> Outcome | None:
        call: Callable[..., Awaitable[Any]]
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        if (record.executor or self._default) == "process":
            call = functools.partial(self._in_process, execution, record)
            if self._middleware:
                self._begun(execution)  # for the middleware; the job's own time begins with its child process
        else:
            self._begun(execution)
            try:
                call, is_async, args, kwargs = self._calls.prepare(record)
            except UnknownFunction:
                return unknown_function(record)
            except BaseException as error:
                return describe_exception(error)
            if not is_async:
                call, args, kwargs = functools.partial(self._in_thread, execution, call, args, kwargs), (), {}
        try:
            if self._middleware:
                next_call = once(execution, functools.partial(call, *args, **kwargs))
                value = await around(self._middleware, job, next_call)
            else:
                value = await call(*args, **kwargs)
        except BaseException as error:
            end_copy(self._pid, error)
            return self._raised(execution, error, hide=__file__)
        end_copy(self._pid, None)
        return self._returned(execution, value)

    async def _in_process(self, execution: Execution, record: JobRecord) -> Any:
        """Let a child process call the function: its outcome, or for middleware the value itself."""
        if execution.asked is None:
            execution.deadline = None
        begun = functools.partial(self._begun, execution)
        outcome = await self._children.run(
            execution.lease, begun=begun, why=lambda: execution.why() or Ask.CANCEL.value
        )
        if not self._middleware:
            return outcome
        return None if outcome.result is None else self._space.codec.decode_result(record, outcome.result)

    async def _in_thread(
        self,
        execution: Execution,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call a plain function in a thread, in a copy of this context."""
        loop = asyncio.get_running_loop()
        lock = execution.lock = threading.Lock()
        execution.thread = "waiting"

        def call() -> tuple[Any, BaseException | None]:
            with lock:
                if execution.thread != "waiting":
                    return None, None  # given up before the thread came to it
                execution.thread = "running"
            value, error = None, None
            try:
                value = function(*args, **kwargs)
            except BaseException as raised:
                error = raised
            end_copy(self._pid, error)
            with lock:
                execution.thread = "over"
                if execution.is_decided:
                    _tell(loop, self._end, execution)
            return value, error

        value, error = await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)
        execution.thread = None  # what middleware does from here on can be cancelled
        if error is not None:
            raise error
        return value

    def _thread_is_over(self, execution: Execution) -> bool:
        """Whether the thread has returned or will never begin; if not, it ends the execution itself."""
        assert execution.lock is not None
        with execution.lock:
            if execution.thread == "waiting":
                execution.thread = "over"
            return execution.thread == "over"

    def _returned(self, execution: Execution, value: Any) -> Outcome | None:
        """The outcome of a return; what was asked for before counts more, but not a shutdown."""
        if execution.asked is not None and execution.asked is not Ask.SHUTDOWN:
            return self._asked_for(execution, None)
        if isinstance(value, Finished):  # a child process has encoded it
            return value
        return self._calls.finished(execution.lease.record, value)

    def _raised(self, execution: Execution, error: BaseException, hide: str | None = None) -> Outcome | None:
        if execution.asked is None and isinstance(error, asyncio.CancelledError) and self._leaving():
            execution.asked = Ask.SHUTDOWN  # the end of a loop cancels all tasks at once, in no order
        kinds: type[BaseException] | Collection[str] = type(error)
        told = error.__cause__ if isinstance(error, asyncio.CancelledError) else error
        if isinstance(told, FailedInChild):
            failure, kinds = told.failure, told.names
        else:
            failure = describe_exception(error, hide=hide)
        if execution.asked is not None:
            return self._asked_for(execution, failure)
        if isinstance(error, UnknownInChild):
            return unknown_function(execution.lease.record)
        return retried_or_failed(execution.lease.record, kinds, failure)

    def _asked_for(self, execution: Execution, failure: Failed | None) -> Outcome | None:
        """The outcome that a request leads to, whatever the code did after it."""
        match execution.asked:
            case Ask.TIMEOUT:
                return timed_out(execution.lease.record, failure if execution.thread is None else None)
            case Ask.STOP:
                return Stopped()
            case Ask.CANCEL:
                return Canceled()
            case Ask.SHUTDOWN:
                return Released()
            case _:
                return None


def _tell(
    loop: asyncio.AbstractEventLoop, function: Callable[[Execution], None], execution: Execution
) -> None:
    try:
        loop.call_soon_threadsafe(function, execution)
    except RuntimeError:
        pass  # the loop is closed: nobody counts zombies any more


def once(execution: Execution, call: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """What the innermost middleware calls to run the job.

    A second time is refused, since a thread of the first may still run; so is running what has ended or was
    asked to.
    """
    is_called = False

    def call_next() -> Awaitable[Any]:
        nonlocal is_called
        if is_called:
            raise RuntimeError(
                "call_next() has run the job already: to run a job again, enqueue it with retry=..."
            )
        if execution.is_decided:
            raise RuntimeError("call_next() cannot run the job any more: its middleware has returned")
        if execution.asked is not None:
            raise asyncio.CancelledError(_MESSAGES[execution.asked])
        is_called = True
        return call()

    return call_next


def unknown_function(record: JobRecord) -> Outcome:
    """Leave a job to other workers for about ten minutes: a newer one may know its function."""
    if record.misses < MAX_MISSES:
        return Released(MISS_DELAYS_MS[min(record.misses, len(MISS_DELAYS_MS) - 1)], unknown=True)
    message = (
        f"no worker found {record.function} within ten minutes: is the module installed, is the name right?"
    )
    return Failed("UnknownFunction", message, f"UnknownFunction: {message}")


def timed_out(record: JobRecord, failure: Failed | None) -> Outcome:
    """The deadline decides, even when the task swallowed the cancellation."""
    message = f"job {record.id!r} ran longer than its timeout of {to_seconds(record.timeout):g} s"
    where = failure.traceback if failure is not None else ""
    last = f"JobTimeout: {message}"
    text = f"{where}\n\n{last}" if where else last
    return retried_or_failed(record, JobTimeout, Failed("JobTimeout", message, text))


def retried_or_failed(
    record: JobRecord, error: type[BaseException] | Collection[str], failure: Failed
) -> Outcome:
    """Failed, or Retried while the job's policy allows it."""
    policy = record.retry
    if error and record.attempts < policy.max and policy.covers(error):
        return Retried(failure, policy.delay_ms(record.attempts + 1))
    return failure
