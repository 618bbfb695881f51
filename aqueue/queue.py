"""`Queue`: where jobs are enqueued, counted and listed."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

from aqueue._core.clock import Duration, delay_until, to_ms
from aqueue._core.names import check_name, new_nonce
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES, OPTION_NAMES, JobOptions, check_options, check_timeout
from aqueue._core.payload import Serializer
from aqueue._core.status import WAITING
from aqueue._redis import lookups, operations
from aqueue._redis.operations import BULK, NewJob
from aqueue.batch import EnqueueData, enqueue_batches
from aqueue.connection import Connection, Namespace, open_namespace
from aqueue.draft import check_arguments, draft, new_job, split_options
from aqueue.errors import EnqueueUncertain, InvalidJobOperation, NoSuchJobError, SettingsError
from aqueue.jobs import Job, fetch_jobs
from aqueue.registry import (
    CanceledJobRegistry,
    DeferredJobRegistry,
    ExpiredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
    id_of,
    list_ids,
)
from aqueue.snapshot import JobView

T = TypeVar("T")

#: What `Queue.delete` deletes.
DELETED = ("queue", "scheduled", "deferred", "finished", "failed", "canceled", "expired")


class Queue:
    """A named queue in a namespace. Making one does no I/O; it binds to the loop at the first await."""

    def __init__(
        self,
        name: str = "default",
        connection: Connection | None = None,
        default_timeout: Duration | None = None,
        *,
        namespace: str | None = None,
        serializer: Serializer | str | None = None,
        max_job_bytes: int = DEFAULT_MAX_JOB_BYTES,
    ) -> None:
        """Name a queue.

        Args:
            connection: A redis-py client or a URL; see `aqueue.connection`.
            default_timeout: How long its jobs may run unless they say otherwise; 180 s, -1: no limit.
            max_job_bytes: Larger jobs are refused; 1 MiB.

        Raises:
            SettingsError: A value that cannot be used.
        """
        self.name = check_name(name, "queue")
        self.space: Namespace = open_namespace(
            connection, namespace=namespace, serializer=serializer, max_job_bytes=max_job_bytes
        )
        self._default_timeout = check_timeout(default_timeout)

    def __repr__(self) -> str:
        return f"<Queue {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and (other.name, other.space.keys) == (self.name, self.space.keys)

    def __hash__(self) -> int:
        return hash(self.name)

    async def __aenter__(self) -> Self:
        self.space.connector.enter()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.space.connector.leave()

    async def aclose(self) -> None:
        """Close this loop's connections to this Redis; the next call opens new ones.

        They stay open while a worker of this loop needs them. Who waits for a job gets QueueUnavailable;
        the end of an `async with queue:` block closes only when no other block and nobody's wait needs them.
        """
        await self.space.connector.aclose()

    async def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Enqueue a call of a function, given itself or by its import path: -> queued. One round trip.

        What is awaited concurrently travels in one call. Keyword arguments named like an option (see
        `EnqueueOptions`) are options; `queue.options(...).enqueue` keeps the two apart, and so does
        `args=(...), kwargs={...}`. Cancelling may leave the job enqueued or not.

        Raises:
            SettingsError: A function, id or option that cannot be used.
            PayloadError: Arguments that cannot be encoded, or a job over the size limit.
            DuplicateJobError: `job_id` belongs to a job that has not ended.
            EnqueueUncertain: The reply was lost; `await error.retry()`.
            QueueUnavailable: Redis cannot be reached; nothing was enqueued.
            QueueFull: Redis is out of memory; nothing was enqueued.
        """
        return await self._enqueue(*split_options(func, args, kwargs))

    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due after `delay`: -> scheduled. See `enqueue`."""
        data = split_options(func, args, kwargs)
        return await self._enqueue(*data, delay_ms=to_ms(delay, "delay"))

    async def enqueue_at(
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """Enqueue a call that becomes due at `when`, naive for local time: -> scheduled. See `enqueue`."""
        data = split_options(func, args, kwargs)
        return await self._enqueue(*data, delay_ms=delay_until(when, "when"))

    def options(self, **options: Any) -> BoundQueue:
        """This queue with options set apart, so that all arguments of its `enqueue` go to the function.

        Raises:
            SettingsError: An unknown option, or a value that cannot be used.
        """
        unknown = set(options) - OPTION_NAMES
        if unknown:
            known = ", ".join(sorted(OPTION_NAMES))
            raise SettingsError(f"unknown option {', '.join(sorted(unknown))}: there are {known}")
        check_options(options)
        return BoundQueue(self, options)

    @staticmethod
    def prepare_data(
        func: Callable[..., Any] | str,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> EnqueueData:
        """A call for `enqueue_many`, with the options of `enqueue`; `timeout` is `job_timeout`, as in RQ.

        Raises:
            SettingsError: An unknown option.
        """
        if "timeout" in options:
            options["job_timeout"] = options.pop("timeout")
        unknown = set(options) - OPTION_NAMES
        if unknown:
            raise SettingsError(f"unknown option {', '.join(sorted(unknown))} of prepare_data")
        return EnqueueData(func, *check_arguments(args, kwargs), options)

    async def enqueue_many(self, job_datas: Iterable[EnqueueData]) -> list[Job[Any]]:
        """Enqueue calls made by `prepare_data`. One round trip per 100; each hundred is atomic.

        All are checked before the first is sent. An error's `enqueued` and `not_enqueued` name the jobs.

        Raises:
            DuplicateJobError: Some ids belong to jobs that have not ended; the others are in.
            EnqueueUncertain, QueueUnavailable, QueueFull: As for `enqueue`.
        """
        jobs: list[Job[Any]] = []
        new: list[NewJob] = []
        for data in job_datas:
            job, options = self._draft(data.func, data.args, data.kwargs, data.options)
            jobs.append(job)
            new.append(new_job(job._record, mode=_mode(options), max_bytes=self.space.max_job_bytes))
        await enqueue_batches(self.space, self.name, jobs, new)
        return jobs

    async def enqueue_job(self, job: Job[T], at_front: bool = False) -> Job[T]:
        """Enqueue a job made by `Job.create`: -> queued. One round trip. See `enqueue` for the errors.

        Raises:
            InvalidJobOperation: It was enqueued already.
        """
        if not job._is_draft:
            raise InvalidJobOperation(job.id, verb="enqueue", status=job.status)
        job._adopt(self.space)
        if self._default_timeout is not None and b"timeout" not in job._record.fields:
            job._record = job._record.evolve(timeout=self._default_timeout)
        mode = "front" if at_front or job._at_front else ""
        return await self._send(job, new_job(job._record, mode=mode, max_bytes=self.space.max_job_bytes))

    async def _enqueue(
        self,
        func: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: Mapping[str, Any],
        delay_ms: int = 0,
    ) -> Job[Any]:
        job, options = self._draft(func, args, kwargs, given)
        return await self._send(
            job,
            new_job(job._record, mode=_mode(options), delay_ms=delay_ms, max_bytes=self.space.max_job_bytes),
        )

    def _draft(
        self,
        func: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> tuple[Job[Any], JobOptions]:
        options = check_options(given, self._default_timeout)
        serializer = self.space.serializer
        record = draft(
            serializer, func, args, kwargs, options, job_id=given.get("job_id"), meta=given.get("meta")
        )
        return Job(record, self.space), options

    async def _send(self, job: Job[T], new: NewJob) -> Job[T]:
        try:
            at_ms, word = await self.space.client.coalescer(self.space.keys, self.name).enqueue(new)
        except EnqueueUncertain as error:
            again: Callable[[], Awaitable[Job[T]]] = functools.partial(self._send, job, new)
            error._again = again
            raise
        job._stored(self.name, at_ms, word)
        return job

    async def count(self) -> int:
        """How many jobs wait in it. One round trip."""
        [count] = await self.space.client.run(operations.count(self.space.keys, [("queue", self.name)]))
        return count

    async def is_empty(self) -> bool:
        """Whether no job waits in it. One round trip."""
        return await self.count() == 0

    async def get_job_ids(self, offset: int = 0, length: int = -1) -> list[str]:
        """Ids of waiting jobs in the order in which they start. One round trip per 5,000."""
        limit = None if length < 0 else length
        return await list_ids(self.space, "queue", self.name, offset=offset, limit=limit)

    async def get_jobs(self, offset: int = 0, length: int = -1) -> list[Job[Any]]:
        """Waiting jobs in the order in which they start. Two round trips per 1,000."""
        found = await fetch_jobs(self.space, await self.get_job_ids(offset, length))
        return [job for job in found if job is not None]

    async def fetch_job(self, job_id: str) -> Job[Any] | None:
        """The job of this id if it belongs to this queue. One round trip."""
        [job] = await fetch_jobs(self.space, [job_id])
        return job if job is not None and job.origin == self.name else None

    async def get_job_position(self, job: JobView | str) -> int | None:
        """How many jobs are before it; None when it does not wait here. One round trip."""
        return await self.space.client.run(operations.position(self.space.keys, self.name, id_of(job)))

    async def remove(self, job: JobView | str) -> None:
        """Cancel a job that waits in this queue, scheduled or not. Two round trips.

        Raises:
            NoSuchJobError: This queue has no such job.
            InvalidJobOperation: It does not wait: `Job.cancel` asks a running one to end.
        """
        found = await self.fetch_job(id_of(job))
        if found is None:
            raise NoSuchJobError(id_of(job), f"no job {id_of(job)!r} in queue {self.name!r}")
        if found.status not in WAITING:
            raise InvalidJobOperation(found.id, verb=f"remove from queue {self.name!r}", status=found.status)
        await self.space.client.run(operations.cancel(self.space.keys, id_of(job), nonce=new_nonce()))

    async def empty(self, progress: Callable[[int], None] | None = None) -> int:
        """Delete all jobs that wait in it; how many there were. Two round trips per 500."""
        return await self._delete_all("queue", progress)

    async def _delete_all(self, registry: str, progress: Callable[[int], None] | None = None) -> int:
        deleted = 0
        while ids := await list_ids(self.space, registry, self.name, limit=BULK):
            operation = operations.delete(self.space.keys, ids, nonce=new_nonce(), registry=registry)
            done = (await self.space.client.run(operation)).count("ok")
            deleted += done
            if progress is not None:
                progress(done)
            if not done:
                break
        return deleted

    async def delete(self, delete_jobs: bool = True) -> None:
        """Delete the queue with all its jobs, ended ones too.

        Args:
            delete_jobs: False: only if it has none.

        Raises:
            InvalidJobOperation: Some of its jobs run, or it has jobs and `delete_jobs` is False.
        """
        running: Sequence[str] = await list_ids(self.space, "started", self.name, limit=1)
        if running:
            raise InvalidJobOperation(running[0], verb=f"delete queue {self.name!r} with", status="started")
        if delete_jobs:
            while await self.space.client.run(operations.prune(self.space.keys, [self.name])):
                pass  # lists leave out what is past its time
            for registry in DELETED:
                await self._delete_all(registry)
        dropped = await self.space.client.run(operations.drop(self.space.keys, self.name))
        if not (dropped or delete_jobs):  # with delete_jobs, what is enqueued meanwhile makes the queue anew
            for registry in DELETED:
                for job_id in await list_ids(self.space, registry, self.name, limit=1):
                    verb = f"delete queue {self.name!r}, delete_jobs=False, with"
                    raise InvalidJobOperation(job_id, verb=verb, status=registry)

    async def pause(self) -> None:
        """Let workers pass over it until `resume`; running jobs go on, enqueuing too. One round trip."""
        await self.space.client.run(operations.pause(self.space.keys, self.name, paused=True))

    async def resume(self) -> None:
        """Let workers serve it again. One round trip."""
        await self.space.client.run(operations.pause(self.space.keys, self.name, paused=False))

    async def is_paused(self) -> bool:
        """Whether it is paused. One round trip."""
        [meta] = await self.space.client.read(lookups.metas(self.space.keys, [self.name]))
        return meta.get("paused") == "1"

    @classmethod
    async def all(cls, connection: Connection | None = None, *, namespace: str | None = None) -> list[Queue]:
        """All queues of the namespace that have, or had, jobs. One round trip."""
        space = open_namespace(connection, namespace=namespace)
        names = await space.client.read(lookups.queue_names(space.keys))
        return [cls(name, connection, namespace=namespace) for name in names]

    @property
    def started_job_registry(self) -> StartedJobRegistry:
        """Its running jobs."""
        return StartedJobRegistry(self.name, self.space)

    @property
    def finished_job_registry(self) -> FinishedJobRegistry:
        """Its finished jobs."""
        return FinishedJobRegistry(self.name, self.space)

    @property
    def failed_job_registry(self) -> FailedJobRegistry:
        """Its failed and stopped jobs."""
        return FailedJobRegistry(self.name, self.space)

    @property
    def deferred_job_registry(self) -> DeferredJobRegistry:
        """Its jobs that wait for others."""
        return DeferredJobRegistry(self.name, self.space)

    @property
    def scheduled_job_registry(self) -> ScheduledJobRegistry:
        """Its scheduled jobs."""
        return ScheduledJobRegistry(self.name, self.space)

    @property
    def canceled_job_registry(self) -> CanceledJobRegistry:
        """Its canceled jobs."""
        return CanceledJobRegistry(self.name, self.space)

    @property
    def expired_job_registry(self) -> ExpiredJobRegistry:
        """Its expired jobs."""
        return ExpiredJobRegistry(self.name, self.space)


class BoundQueue:
    """A queue with options set apart from the arguments; made by `Queue.options`."""

    def __init__(self, queue: Queue, options: Mapping[str, Any]) -> None:
        self._queue = queue
        self._options = options

    async def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """`Queue.enqueue`; all arguments are the function's."""
        return await self._queue._enqueue(func, args, kwargs, self._options)

    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_in`; all arguments are the function's."""
        return await self._queue._enqueue(func, args, kwargs, self._options, to_ms(delay, "delay"))

    async def enqueue_at(
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_at`; all arguments are the function's."""
        return await self._queue._enqueue(func, args, kwargs, self._options, delay_until(when, "when"))


def _mode(options: JobOptions) -> str:
    return "front" if options.at_front else ""
