"""The failed jobs of all queues of a namespace, as RQ's old failed queue showed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from aqueue._core.failure import describe_exception
from aqueue._core.names import new_nonce
from aqueue._redis import lookups, operations
from aqueue.connection import Connection, Namespace, SpaceOptions, open_namespace
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from aqueue.jobs import Job, fetch_jobs
from aqueue.registry import FailedJobRegistry, id_of
from aqueue.snapshot import JobView


class FailedQueue:
    """Every queue's failed registry at once."""

    name = "failed"

    def __init__(self, space: Namespace) -> None:
        self._space = space

    async def registries(self) -> list[FailedJobRegistry]:
        """The failed registry of each queue. One round trip."""
        names = await self._space.client.read(lookups.queue_names(self._space.keys))
        return [FailedJobRegistry(name, self._space) for name in names]

    async def count(self) -> int:
        """How many failed jobs there are. Two round trips."""
        names = await self._space.client.read(lookups.queue_names(self._space.keys))
        pairs = [("failed", name) for name in names]
        counts = await self._space.client.run(operations.count(self._space.keys, pairs))
        return sum(counts)

    async def get_job_ids(self) -> list[str]:
        """The ids of all failed jobs, queue by queue. A round trip per queue and 5,000 jobs."""
        return [job_id for registry in await self.registries() for job_id in await registry.get_job_ids()]

    async def get_jobs(self) -> list[Job[Any]]:
        """All failed jobs."""
        return [job for job in await fetch_jobs(self._space, await self.get_job_ids()) if job is not None]

    async def requeue(self, job: JobView | str, at_front: bool = False) -> Job[Any]:
        """Enqueue a failed job again, in its own queue. Two round trips.

        Raises:
            NoSuchJobError: There is no such job.
            InvalidJobOperation: It has not failed.
        """
        [found] = await fetch_jobs(self._space, [id_of(job)])
        if found is None:
            raise NoSuchJobError(id_of(job))
        if not (found.is_failed or found.is_stopped):
            raise InvalidJobOperation(found.id, verb="requeue from the failed jobs", status=found.status)
        await found.requeue(at_front=at_front)
        return found

    async def requeue_all(self, at_front: bool = False, progress: Callable[[int], None] | None = None) -> int:
        """Enqueue all failed jobs again; how many it did."""
        return sum([await registry.requeue_all(at_front, progress) for registry in await self.registries()])

    async def quarantine(self, job: JobView | str, exc: BaseException | str) -> Job[Any]:
        """Put a saved or waiting job into the failed registry of its queue by hand. Two round trips.

        Args:
            exc: What it is said to have failed with.

        Raises:
            NoSuchJobError: It was never stored: `await job.save()` does.
            InvalidJobOperation: It runs or has ended.
        """
        job_id = id_of(job)
        failure = describe_exception(exc if isinstance(exc, BaseException) else Exception(exc))
        await self._space.client.run(
            operations.cancel(
                self._space.keys,
                job_id,
                nonce=new_nonce(),
                mode="quarantine",
                error_type=failure.type,
                error_message=failure.message,
            )
        )
        [found] = await fetch_jobs(self._space, [job_id])
        if found is None:
            raise NoSuchJobError(job_id)
        return found


def get_failed_queue(connection: Connection | None = None, **options: Unpack[SpaceOptions]) -> FailedQueue:
    """The failed jobs of all queues; no I/O."""
    return FailedQueue(open_namespace(connection, **options))
