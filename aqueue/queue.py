"""`Queue`: where jobs are counted, listed and removed; how they get into it is `Enqueuing`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, Unpack

from aqueue._core.clock import Duration
from aqueue._core.durability import LOCAL, check_durability
from aqueue._core.names import check_name, new_nonce
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES, Executor, check_executor, check_timeout
from aqueue._core.status import WAITING
from aqueue._redis import lookups, operations
from aqueue._redis.operations import BULK
from aqueue.connection import Connection, SpaceOptions, open_namespace
from aqueue.enqueuing import Enqueuing
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from aqueue.jobs import Job, fetch_jobs
from aqueue.middleware import EnqueueMiddleware, check_middleware
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

#: What `Queue.delete` deletes.
DELETED = ("queue", "scheduled", "deferred", "finished", "failed", "canceled", "expired")


class Queue(Enqueuing):
    """A named queue in a namespace. Making one does no I/O; it binds to the loop at the first await."""

    def __init__(
        self,
        name: str = "default",
        connection: Connection | None = None,
        default_timeout: Duration | None = None,
        is_async: bool = True,
        *,
        max_job_bytes: int = DEFAULT_MAX_JOB_BYTES,
        executor: Executor | None = None,
        middleware: Iterable[EnqueueMiddleware] = (),
        durability: str | None = None,
        **options: Unpack[SpaceOptions],
    ) -> None:
        """Name a queue.

        Args:
            connection: A redis-py client or a URL; see `aqueue.connection`.
            default_timeout: How long its jobs may run unless they say otherwise; 180 s, -1: no limit.
            is_async: False: `enqueue` runs the job itself, in the caller's loop, and returns when that has
                ended, failed or not; see `aqueue.testing.inline`.
            max_job_bytes: Larger jobs are refused; 1 MiB.
            executor: Where its jobs run unless they say otherwise: "process", or "thread" for functions that
                are not coroutine functions. None: as the worker says.
            middleware: Around enqueuing, the first outermost: `async def mw(call, call_next)`.
            durability: What an enqueue waits for unless its call says otherwise: "local": the server has the
                job, "replicated:N": so many replicas, too, "fsync": its disk; else NotReplicated. What runs
                where it is enqueued does not wait for it.
            options: namespace, serializer, signing_key and trust_redis; see `aqueue.connection.SpaceOptions`.

        Raises:
            SettingsError: A value that cannot be used, or a Redis that is not local, with pickle and no key.
        """
        self.name: str = check_name(name, "queue")
        self._space = open_namespace(connection, max_job_bytes=max_job_bytes, **options)
        self._space.codec.check_trust()
        self._default_timeout = check_timeout(default_timeout)
        self._middleware = check_middleware(middleware, "call")
        self._executor = check_executor(executor)
        self._durability = check_durability(durability) or LOCAL
        self.is_async = is_async

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
    async def all(cls, connection: Connection | None = None, **options: Unpack[SpaceOptions]) -> list[Queue]:
        """All queues of the namespace that have, or had, jobs. One round trip."""
        space = open_namespace(connection, **options)
        names = await space.client.read(lookups.queue_names(space.keys))
        return [cls(name, connection, **options) for name in names]

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
