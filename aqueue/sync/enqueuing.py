"""How jobs get into a queue from code without an event loop; see `aqueue.enqueuing`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any, TypeVar, Unpack, overload

from aqueue._core.clock import Duration
from aqueue._core.options import EnqueueOptions
from aqueue._core.signatures import CallByArgs, CallByKwargs, Coro, P, R, Ts
from aqueue.batch import EnqueueData
from aqueue.bound import BoundQueue as AsyncBoundQueue
from aqueue.jobs import Job as AsyncJob
from aqueue.preparing import Preparing
from aqueue.queue import Queue as AsyncQueue
from aqueue.sync.driving import drive_enqueue
from aqueue.sync.jobs import Job

T = TypeVar("T")


def _drive(queue: AsyncQueue, call: Coroutine[Any, Any, AsyncJob[T]]) -> Job[T]:
    return drive_enqueue(call, "queue", Job, in_loop=queue._runs_here)


class Enqueuing(Preparing):
    """The part of `Queue` that makes jobs and stores them."""

    _queue: AsyncQueue

    @overload
    def enqueue(self, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[..., R], /, **call: Unpack[CallByArgs]) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[..., R], /, **call: Unpack[CallByKwargs]) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(
        self, func: Callable[[*Ts], Coro[R]], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    def enqueue(
        self, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue(  # type: ignore[misc]
        self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call of a function; see `aqueue.Queue.enqueue`, also for the errors.

        After EnqueueUncertain, `error.retry()` repeats the call, without `await`.
        """
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._queue.enqueue(func, *args, **kwargs)
        return _drive(self._queue, call)

    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[..., R], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[..., R], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self,
        delay: Duration,
        func: Callable[[*Ts], Coro[R]],
        /,
        *args: *Ts,
        **options: Unpack[EnqueueOptions],
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue_in(  # type: ignore[misc]
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due after `delay`; see `aqueue.Queue.enqueue_in`."""
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._queue.enqueue_in(delay, func, *args, **kwargs)
        return _drive(self._queue, call)

    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    def enqueue_at(self, when: datetime, func: Callable[..., R], /, **call: Unpack[CallByArgs]) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[..., R], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[[*Ts], Coro[R]], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    def enqueue_at(self, when: datetime, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue_at(  # type: ignore[misc]
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due at `when`; see `aqueue.Queue.enqueue_at`."""
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._queue.enqueue_at(when, func, *args, **kwargs)
        return _drive(self._queue, call)

    def options(self, **options: Unpack[EnqueueOptions]) -> BoundQueue:
        """This queue with options set apart; see `aqueue.Queue.options`."""
        return BoundQueue(self._queue, self._queue.options(**options))

    def enqueue_many(self, job_datas: Iterable[EnqueueData]) -> list[Job[Any]]:
        """Enqueue calls made by `prepare_data`; see `aqueue.Queue.enqueue_many`."""
        call = self._queue.enqueue_many(job_datas)
        return drive_enqueue(
            call, "queue", lambda jobs: [Job(job) for job in jobs], in_loop=self._queue._runs_here
        )

    def enqueue_job(self, job: Job[T], at_front: bool = False) -> Job[T]:
        """Enqueue a job made by `Job.create`; see `aqueue.Queue.enqueue_job`."""
        return _drive(self._queue, self._queue.enqueue_job(job._job, at_front))


class BoundQueue:
    """A queue with options set apart from the arguments; made by `Queue.options`."""

    def __init__(self, queue: AsyncQueue, bound: AsyncBoundQueue) -> None:
        """Use `Queue.options`."""
        self._queue = queue
        self._bound = bound

    @overload
    def enqueue(self, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """`Queue.enqueue`; all arguments are the function's."""
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._bound.enqueue(func, *args, **kwargs)
        return _drive(self._queue, call)

    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue_in(
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_in`; all arguments are the function's."""
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._bound.enqueue_in(delay, func, *args, **kwargs)
        return _drive(self._queue, call)

    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_at(
        self, when: datetime, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    def enqueue_at(self, when: datetime, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    def enqueue_at(
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_at`; all arguments are the function's."""
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._bound.enqueue_at(when, func, *args, **kwargs)
        return _drive(self._queue, call)
