"""`Enqueuing`: how jobs get into a queue."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, Unpack, overload

from aqueue._core.clock import Duration, delay_until, to_ms
from aqueue._core.decorated import with_defaults
from aqueue._core.names import new_nonce
from aqueue._core.options import EnqueueOptions, check_known, check_options
from aqueue._core.signatures import CallByArgs, CallByKwargs, Coro, P, R, Ts
from aqueue._redis.lookups import Snapshot
from aqueue._redis.operations import NewJob
from aqueue.batch import EnqueueData, enqueue_batches
from aqueue.bound import BoundQueue
from aqueue.calls import EnqueueCall
from aqueue.connection import Namespace
from aqueue.draft import as_drafted, new_job, pattern_of, split_options
from aqueue.errors import BatchError, EnqueueUncertain, InvalidJobOperation
from aqueue.inline import inline_options, run_here
from aqueue.jobs import Job
from aqueue.middleware import EnqueueMiddleware, around
from aqueue.preparing import Preparing

T = TypeVar("T")


class Enqueuing(Preparing):
    """The part of `Queue` that makes jobs and stores them."""

    name: str
    _space: Namespace
    _default_timeout: int | None
    _middleware: Sequence[EnqueueMiddleware]
    _executor: str | None
    _durability: str
    is_async: bool

    @property
    def _runs_here(self) -> bool:
        """Whether jobs run where they are enqueued."""
        return not self.is_async or inline_options.get() is not None

    @property
    def space(self) -> Namespace:
        """Where it lives."""
        return self._space.here()

    @overload
    async def enqueue(self, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[..., R], /, **call: Unpack[CallByArgs]) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[..., R], /, **call: Unpack[CallByKwargs]) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def enqueue(
        self, func: Callable[[*Ts], Coro[R]], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    async def enqueue(
        self, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    async def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue(  # type: ignore[misc]
        self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call of a function, given itself or by its import path: -> queued. One round trip.

        What is awaited concurrently travels in one call. Keyword arguments named like an option (see
        `EnqueueOptions`) are options; `queue.options(...).enqueue` keeps the two apart, and so does
        `args=(...), kwargs={...}`. Cancelling may leave the job enqueued or not.

        Raises:
            SettingsError: A function, id or option that cannot be used.
            PayloadError: Arguments that cannot be encoded, or a job over the size limit.
            DuplicateJobError: `job_id` belongs to a job that has not ended.
            EnqueueUncertain: The reply was lost; `await error.retry()`.
            NotReplicated: It is in the queue, but not as safely as `durability` asks; likewise.
            QueueUnavailable: Redis cannot be reached; nothing was enqueued.
            QueueFull: Redis is out of memory; nothing was enqueued.
        """
        return await self._enqueue(*split_options(func, args, kwargs))

    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., R], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., R], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self,
        delay: Duration,
        func: Callable[[*Ts], Coro[R]],
        /,
        *args: *Ts,
        **options: Unpack[EnqueueOptions],
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue_in(  # type: ignore[misc]
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due after `delay`: -> scheduled. See `enqueue`."""
        data = split_options(func, args, kwargs)
        return await self._enqueue(*data, delay_ms=to_ms(delay, "delay"))

    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[..., Coro[R]], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[..., R], /, **call: Unpack[CallByArgs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[..., Coro[R]], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[..., R], /, **call: Unpack[CallByKwargs]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[[*Ts], Coro[R]], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[[*Ts], R], /, *args: *Ts, **options: Unpack[EnqueueOptions]
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(self, when: datetime, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue_at(  # type: ignore[misc]
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due at `when`, naive for local time: -> scheduled. See `enqueue`."""
        data = split_options(func, args, kwargs)
        return await self._enqueue(*data, delay_ms=delay_until(when, "when"))

    def options(self, **options: Unpack[EnqueueOptions]) -> BoundQueue:
        """This queue with options set apart, so that all arguments of its `enqueue` go to the function.

        Raises:
            SettingsError: An unknown option, or a value that cannot be used.
        """
        check_known(options)
        check_options(options)
        return BoundQueue(self._enqueue, options)

    async def enqueue_many(self, job_datas: Iterable[EnqueueData]) -> list[Job[Any]]:
        """Enqueue calls made by `prepare_data`. One round trip per 100; each hundred is atomic.

        All are checked before the first is sent. An error's `enqueued` and `not_enqueued` name the jobs.

        Raises:
            DuplicateJobError: Some ids belong to jobs that have not ended; the others are in.
            EnqueueUncertain, QueueUnavailable, QueueFull: As for `enqueue`.
        """
        made: list[tuple[Job[Any], NewJob]] = []
        if self._middleware:
            jobs = [await self._make_through(data, made) for data in job_datas]
        else:
            space = self.space
            made = [self._make(space, data.func, data.args, data.kwargs, data.options) for data in job_datas]
            jobs = [job for job, _ in made]
        if self._runs_here:
            await self._send_each(made)
        else:
            await enqueue_batches(self.space, self.name, [job for job, _ in made], [new for _, new in made])
        return jobs

    async def _send_each(self, made: Sequence[tuple[Job[Any], NewJob]]) -> None:
        """Run jobs where they are enqueued, one after the other."""
        for at, (job, new) in enumerate(made):
            try:
                await self._send(job, new)
            except BatchError as error:
                ids = [job.id for job, _ in made]
                error.enqueued, error.not_enqueued = ids[:at], ids[at:]
                raise

    async def _make_through(self, data: EnqueueData, made: list[tuple[Job[Any], NewJob]]) -> Job[Any]:
        """Make one of many jobs, through the middleware; what is to be sent is added to `made`."""
        call = EnqueueCall.make(self.name, data.func, data.args, data.kwargs, data.options)

        async def make() -> Job[Any]:
            made.append(self._make(self.space, *call.parts()))
            return made[-1][0]

        return await around(self._middleware, call, make)

    async def enqueue_job(self, job: Job[T], at_front: bool = False) -> Job[T]:
        """Enqueue a job made by `Job.create`: -> queued. One round trip. See `enqueue` for the errors.

        Raises:
            InvalidJobOperation: It was enqueued already.
        """
        _check_draft(job)
        space = self.space
        job._adopt(space)
        if self._middleware:
            return await self._enqueue_job_through(job, at_front)
        if self._default_timeout is not None and b"timeout" not in job._record.fields:
            job._record = job._record.evolve(timeout=self._default_timeout)
        if self._executor is not None and b"executor" not in job._record.fields:
            job._record = job._record.evolve(executor=self._executor)
        mode = "front" if at_front or job._at_front else ""
        record, durability = as_drafted(job._record), job._durability or self._durability
        new = new_job(record, self.name, space.codec, nonce=new_nonce(), mode=mode, durability=durability)
        return await self._send(job, new)

    async def _enqueue_job_through(self, job: Job[T], at_front: bool) -> Job[T]:
        """Enqueue a job through the middleware; the handle takes over what that changed."""
        call = EnqueueCall.of_job(self.name, job, at_front)

        async def send() -> Job[Any]:
            _check_draft(job)
            made, new = self._make(self.space, *call.parts())
            job._renew(Snapshot(made._record.evolve(created_at=job._record.stored_at), None))
            return await self._send(job, new)

        return await around(self._middleware, call, send)

    def _enqueue(
        self,
        func: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: Mapping[str, Any],
        delay_ms: int = 0,
    ) -> Awaitable[Job[Any]]:
        given = with_defaults(func, given)
        if not self._middleware:
            return self._send(*self._make(self.space, func, args, kwargs, given, delay_ms))
        call = EnqueueCall.make(self.name, func, args, kwargs, given, delay_ms)
        return around(self._middleware, call, lambda: self._send(*self._make(self.space, *call.parts())))

    def _make(
        self,
        space: Namespace,
        func: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: Mapping[str, Any],
        delay_ms: int = 0,
    ) -> tuple[Job[Any], NewJob]:
        pattern = pattern_of(func, given, self._default_timeout, self._executor)
        job_id = given.get("job_id")
        record = pattern.draft(space.codec, args, kwargs, job_id=job_id, meta=given.get("meta"))
        nonce = "" if job_id is None else new_nonce()
        new = new_job(
            record,
            self.name,
            space.codec,
            nonce=nonce,
            mode=pattern.mode,
            delay_ms=delay_ms,
            durability=pattern.durability or self._durability,
        )
        return Job(record, space), new

    async def _send(self, job: Job[T], new: NewJob) -> Job[T]:
        try:
            if self._runs_here and not new.delay_ms:
                await run_here(self, job, new)
                return job
            space = job._space
            at_ms, word = await space.client.enqueue(space.keys, self.name, new)
        except EnqueueUncertain as error:
            again: Callable[[], Awaitable[Job[T]]] = functools.partial(self._send, job, new)
            error._again = again
            raise
        job._stored(self.name, at_ms, word)
        return job


def _check_draft(job: Job[Any]) -> None:
    if not job._is_draft:
        raise InvalidJobOperation(job.id, verb="enqueue", status=job.status)
