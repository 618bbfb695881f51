"""The child processes of a worker: a warm pool, started as jobs need them, each used for many jobs."""

from __future__ import annotations

import asyncio
import functools
import logging
import pickle
from collections.abc import Callable, Collection

from aqueue._core.options import class_names
from aqueue._core.outcome import Failed, Finished, Lease
from aqueue.connection import Namespace
from aqueue.errors import JobFailed, JobProcessDied, SettingsError
from aqueue.worker.child_process import ChildProcess
from aqueue.worker.frames import Frame
from aqueue.worker.shield import finish

#: A child is replaced after so many jobs: what their code has leaked goes with it.
MAX_JOBS = 1_000
#: Seconds without a job after which a child is ended.
MAX_IDLE = 300.0
#: Seconds that idle children have to end by themselves.
FAREWELL = 1.0
#: Children that a job is given to, if they end before they have taken it.
TRIES = 3


class FailedInChild(JobFailed):
    """How a job failed in its child process; a traceback as text, since the exception stays there."""

    def __init__(self, job_id: str, failure: Failed, names: Collection[str] = ()) -> None:
        super().__init__(job_id, type=failure.type, message=failure.message, traceback=failure.traceback)
        self.failure = failure
        #: By which a retry policy knows the exception; without any it is never retried.
        self.names = names


class UnknownInChild(LookupError):
    """The function does not exist here."""


class Children:
    """The pool."""

    def __init__(self, space: Namespace, limit: int) -> None:
        self._space = space
        self._slots = asyncio.Semaphore(limit)
        self._setup: bytes | None = None
        self._all: set[ChildProcess] = set()
        #: Those without a job, the last used at the end.
        self._idle: list[ChildProcess] = []
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, lease: Lease, *, begun: Callable[[], None], why: Callable[[], str]) -> Finished:
        """Run a job in a child process, when one is free.

        Cancelled, it interrupts the job, which may clean up, and raises the cancellation with how the job
        failed as its cause; or the job returns nevertheless. Cancelled again, it kills the process with its
        group.

        Args:
            begun: Called when the job is given to a child.
            why: Why the job is cancelled.

        Raises:
            FailedInChild: It failed, or its process died.
            UnknownInChild: There is no such function.
            SettingsError: What children need to know cannot be sent to another process.
            OSError, RuntimeError: No child can be started.
        """
        async with self._slots:
            for attempt in range(1, TRIES + 1):
                child = await self._take()
                begun()
                frame = await self._run_in(child, lease, why)
                if frame is not None and frame[0]["kind"] == "finished":
                    return Finished(frame[1] if frame[0]["has_result"] else None)
                if frame is not None or child.has_taken or attempt == TRIES:
                    raise _failure(lease.job_id, frame, child)
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """End all children; those without a job by themselves, if they are quick."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*map(self._dismiss, self._all))

    async def _take(self) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            await finish(self._end(child))
        if self._setup is None:
            self._setup = _setup(self._space)
        child = ChildProcess()
        self._all.add(child)
        try:
            await child.start(self._setup)
        except BaseException:
            await finish(self._end(child))
            raise
        return child

    async def _run_in(self, child: ChildProcess, lease: Lease, why: Callable[[], str]) -> Frame | None:
        is_reusable = False
        try:
            frame = await child.run(lease)
            is_reusable = frame is not None and child.jobs < MAX_JOBS
        except asyncio.CancelledError as cancellation:
            child.interrupt(why())
            frame = await child.result()
            if frame is None or frame[0]["kind"] != "finished":
                raise cancellation from _failure(lease.job_id, frame, child)
        finally:
            if is_reusable:
                self._keep(child)
            else:
                await finish(self._end(child))
        return frame

    def _keep(self, child: ChildProcess) -> None:
        loop = asyncio.get_running_loop()
        child.idle_since = loop.time()
        self._idle.append(child)
        if self._timer is None:
            self._timer = loop.call_later(MAX_IDLE, self._tidy)

    def _tidy(self) -> None:
        """End the children that have been idle for long."""
        loop = asyncio.get_running_loop()
        old = [child for child in self._idle if loop.time() - child.idle_since >= MAX_IDLE]
        for child in old:
            self._idle.remove(child)
            task = loop.create_task(self._dismiss(child))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._timer = loop.call_later(MAX_IDLE / 5, self._tidy) if self._idle else None

    async def _dismiss(self, child: ChildProcess) -> None:
        """Let a child end by itself, or else kill it; one that not even that ends is left to its own."""
        child.dismiss()
        for step in (child.ended, functools.partial(self._end, child)):
            try:
                async with asyncio.timeout(FAREWELL):
                    await step()
            except TimeoutError:
                pass

    async def _end(self, child: ChildProcess) -> None:
        if child in self._all:
            self._all.remove(child)
            await child.end()


def _setup(space: Namespace) -> bytes:
    """What children need to know, once for all of them.

    Raises:
        SettingsError: It cannot be sent to another process.
    """
    levels = {
        name: known.level
        for name, known in logging.root.manager.loggerDict.items()
        if isinstance(known, logging.Logger) and known.level
    }
    try:
        return pickle.dumps((space, logging.root.level, levels))
    except Exception as error:
        raise SettingsError(
            'executor="process" cannot be used here: the connection and the serializer go to child '
            f"processes, and cannot be pickled: {error}"
        ) from error


def _failure(job_id: str, frame: Frame | None, child: ChildProcess) -> FailedInChild | UnknownInChild:
    """What a child has sent of a job that did not finish; nothing: it has ended."""
    if frame is None:
        message = f"job {job_id!r}: its process {child.ending}"
        failure = Failed(JobProcessDied.__name__, message, f"{JobProcessDied.__name__}: {message}")
        return FailedInChild(job_id, failure, class_names(JobProcessDied))
    head = frame[0]
    if head["kind"] == "unknown":
        return UnknownInChild(head["path"])
    failed = Failed(*(_text(head.get(part)) for part in ("type", "message", "traceback")))
    return FailedInChild(job_id, failed, [_text(name) for name in head.get("names") or ()])


def _text(value: object) -> str:
    """A job's code can send what it likes: text that can be stored, whatever it is."""
    return str(value).encode("utf-8", "backslashreplace").decode()
