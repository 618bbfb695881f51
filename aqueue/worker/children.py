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

    async def run(
        self, lease: Lease, *, begun: Callable[[], None], why: Callable[[], str | None]
    ) -> Finished:
        """Run a job in a child process, when one is free.

        Cancelled, it interrupts the job, which may clean up and even return; cancelled again, it kills the
        process with its group.

        Args:
            begun: Called when the job is given to a child.
            why: Why the job is cancelled.

        Raises:
            FailedInChild: It failed, or its process died.
            UnknownInChild: There is no such function.
            SettingsError: What children need to know cannot be sent to another process.
            OSError, RuntimeError: No child can be started.
        """
        ending = ""
        async with self._slots:
            for _ in range(TRIES):
                child = await self._take()
                begun()
                frame = await self._run_in(child, lease, why)
                if frame is not None:
                    return _finished(lease.job_id, frame)
                ending = child.ending
                if child.has_taken:
                    break
        raise _died(lease.job_id, ending)

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

    async def _run_in(self, child: ChildProcess, lease: Lease, why: Callable[[], str | None]) -> Frame | None:
        frame: Frame | None = None
        is_interrupted = False
        try:
            frame = await child.run(lease)
        except asyncio.CancelledError:
            is_interrupted = True
            child.interrupt(why() or "shutdown")
            frame = await child.result()
        finally:
            if frame is None or is_interrupted or child.jobs >= MAX_JOBS:
                await finish(self._end(child))
            else:
                self._keep(child)
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


def _finished(job_id: str, frame: Frame) -> Finished:
    """The outcome that a child has sent, if it is a good one."""
    head, blob = frame
    match head["kind"]:
        case "finished":
            return Finished(blob if head["has_result"] else None)
        case "unknown":
            raise UnknownInChild(head["path"])
        case _:
            failure = Failed(head["type"], head["message"], head["traceback"])
            raise FailedInChild(job_id, failure, head["names"])


def _died(job_id: str, ending: str) -> FailedInChild:
    message = f"job {job_id!r}: its process {ending}"
    failure = Failed(JobProcessDied.__name__, message, f"{JobProcessDied.__name__}: {message}")
    return FailedInChild(job_id, failure, class_names(JobProcessDied))
