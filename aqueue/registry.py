"""The registries of a queue: which of its jobs are started, finished, failed and so on.

Views: they read what the scripts file, and leave out what is past its time, also when no worker
is there to prune it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar

from aqueue._core.clock import to_instant
from aqueue._core.names import check_job_id, new_nonce
from aqueue._core.record import JobRecord
from aqueue._core.status import REGISTRY_OF
from aqueue._redis import lookups, operations
from aqueue._redis.operations import BATCH, PAGE
from aqueue.connection import Namespace
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from aqueue.jobs import Job
from aqueue.snapshot import JobView


def id_of(job: JobView | str) -> str:
    """The id of a job given as an object or by its id, checked."""
    return job.id if isinstance(job, JobView) else check_job_id(job)


async def list_ids(
    space: Namespace,
    registry: str,
    queue: str,
    *,
    offset: int = 0,
    limit: int | None = None,
    newest: bool = False,
) -> list[str]:
    """Ids in order; one round trip per 5,000. `limit=None`: all."""
    ids: list[str] = []
    while limit is None or len(ids) < limit:
        wanted = PAGE if limit is None else min(PAGE, limit - len(ids))
        page = await space.client.run(
            operations.list_ids(
                space.keys, registry, queue, offset=offset + len(ids), limit=wanted, newest=newest
            )
        )
        ids += page
        if len(page) < wanted:
            break
    return ids


class JobRegistry:
    """The jobs of one queue in one kind of status."""

    #: Its part of the key names.
    kind: ClassVar[str]

    def __init__(self, name: str, space: Namespace) -> None:
        #: The queue's name.
        self.name = name
        self._space = space

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of queue {self.name}>"

    async def count(self) -> int:
        """How many jobs it lists. One round trip."""
        [count] = await self._space.client.run(operations.count(self._space.keys, [(self.kind, self.name)]))
        return count

    async def get_job_ids(self, start: int = 0, end: int = -1, desc: bool = False) -> list[str]:
        """Ids in the registry's order: by removal time, due time or lease deadline; `end` counts in.

        Negative numbers count from the end, as in RQ. One round trip per 5,000 ids.
        """
        if start < 0 or end < -1:
            count = await self.count()
            start = max(0, start + count) if start < 0 else start
            if end < -1:
                end += count
                if end < 0:
                    return []
        limit = None if end == -1 else max(0, end - start + 1)
        return await list_ids(self._space, self.kind, self.name, offset=start, limit=limit, newest=desc)

    async def __aiter__(self) -> AsyncIterator[str]:
        """The ids as they were when the loop began; jobs may be requeued or removed meanwhile."""
        for job_id in await self.get_job_ids():
            yield job_id

    async def contains(self, job: JobView | str) -> bool:
        """Whether it lists this job. Two round trips."""
        job_id = id_of(job)
        keys = self._space.keys
        [snapshot] = await self._space.client.read(lookups.snapshots(keys, [job_id]))
        if snapshot is None or not self._lists(snapshot.record):
            return False
        return await self._space.client.read(lookups.is_listed(keys, self.kind, self.name, job_id))

    def _lists(self, record: JobRecord) -> bool:
        return not record.gone and record.queue == self.name and REGISTRY_OF.get(record.status) == self.kind

    async def _score(self, job_id: str) -> float | None:
        return await self._space.client.read(lookups.score(self._space.keys, self.kind, self.name, job_id))

    async def remove(self, job: JobView | str, delete_job: bool = True) -> None:
        """Remove the job from the registry and delete its record, whatever `delete_job` says:
        no record lives outside a registry. Two round trips.

        Raises:
            NoSuchJobError: There is no such job.
            InvalidJobOperation: It is not in this registry.
        """
        job_id, verb = id_of(job), f"remove from the {self.kind} registry of {self.name!r}"
        await self._own(job_id, verb)
        [word] = await self._space.client.run(
            operations.delete(self._space.keys, [job_id], nonce=new_nonce(), registry=self.kind)
        )
        if word != "ok":
            raise operations.check_word(job_id, verb, word)

    async def _own(self, job_id: str, verb: str) -> JobRecord:
        """The record of a job that is in this registry.

        Raises:
            NoSuchJobError: There is no such job.
            InvalidJobOperation: It is not in this registry.
        """
        [snapshot] = await self._space.client.read(lookups.snapshots(self._space.keys, [job_id]))
        if snapshot is None or snapshot.record.gone:
            raise NoSuchJobError(job_id)
        record = snapshot.record
        if not self._lists(record):
            raise InvalidJobOperation(job_id, verb=verb, status=f"{record.status} in {record.queue!r}")
        return record


class StartedJobRegistry(JobRegistry):
    """Running jobs, by the deadline of their lease."""

    kind = "started"


class DeferredJobRegistry(JobRegistry):
    """Jobs that wait for other jobs, by creation."""

    kind = "deferred"


class ScheduledJobRegistry(JobRegistry):
    """Jobs that wait for their due time, by that time."""

    kind = "scheduled"

    async def get_scheduled_time(self, job: JobView | str) -> datetime:
        """When the job is due. One round trip.

        Raises:
            NoSuchJobError: It is not scheduled in this queue.
        """
        score = await self._score(id_of(job))
        if score is None:
            raise NoSuchJobError(id_of(job), f"job {id_of(job)!r} is not scheduled in queue {self.name!r}")
        return to_instant(int(score))


class EndedJobRegistry(JobRegistry):
    """Jobs that have ended, by when they are removed."""

    async def get_expiration_time(self, job: JobView | str) -> datetime | None:
        """When the job is removed; None: never. One round trip.

        Raises:
            NoSuchJobError: It is not in this registry.
        """
        score = await self._score(id_of(job))
        if score is None:
            raise NoSuchJobError(
                id_of(job), f"job {id_of(job)!r} is not in the {self.kind} registry of {self.name!r}"
            )
        return None if score == float("inf") else to_instant(int(score))

    async def requeue(self, job: JobView | str, at_front: bool = False) -> Job[Any]:
        """Enqueue one of its jobs again; see `Job.requeue`. Two round trips.

        Raises:
            NoSuchJobError: There is no such job.
            InvalidJobOperation: It is not in this registry.
        """
        record = await self._own(id_of(job), f"requeue from the {self.kind} registry of {self.name!r}")
        found: Job[Any] = Job(record, self._space)
        await found.requeue(at_front=at_front)
        return found

    async def requeue_many(self, job_ids: Sequence[str], at_front: bool = False) -> dict[str, str]:
        """Enqueue jobs again; "ok", "missing" or its status, for each. One round trip per 100."""
        words: dict[str, str] = {}
        ids = list(dict.fromkeys(map(check_job_id, job_ids)))
        for start in range(0, len(ids), BATCH):
            words |= await self._requeue(ids[start : start + BATCH], at_front)
        return words

    async def _requeue(self, ids: Sequence[str], at_front: bool) -> dict[str, str]:
        """At most 100; ids that Redis itself listed are not checked, one that cannot be is "missing"."""
        operation = operations.requeue(self._space.keys, ids, nonce=new_nonce(), at_front=at_front)
        answers = await self._space.client.run(operation)
        return dict(zip(ids, answers, strict=True))

    async def requeue_all(self, at_front: bool = False, progress: Callable[[int], None] | None = None) -> int:
        """Enqueue all jobs again that it lists now; how many it did. One round trip per 100.

        Args:
            progress: Called with the number of jobs done since its last call.
        """
        done = 0
        ids = await self.get_job_ids()
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            done += list((await self._requeue(batch, at_front)).values()).count("ok")
            if progress is not None:
                progress(len(batch))
        return done


class FinishedJobRegistry(EndedJobRegistry):
    """Jobs whose function returned."""

    kind = "finished"


class FailedJobRegistry(EndedJobRegistry):
    """Failed and stopped jobs."""

    kind = "failed"


class CanceledJobRegistry(EndedJobRegistry):
    """Canceled jobs."""

    kind = "canceled"


class ExpiredJobRegistry(EndedJobRegistry):
    """Jobs whose ttl passed before a worker could start them."""

    kind = "expired"
