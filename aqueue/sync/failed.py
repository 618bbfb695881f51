"""The failed jobs of all queues for code without an event loop; see `aqueue.failed`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, Unpack

from aqueue import failed
from aqueue.connection import Connection, SpaceOptions
from aqueue.snapshot import JobView
from aqueue.sync.driving import drive
from aqueue.sync.jobs import Job
from aqueue.sync.registry import EndedJobRegistry

T = TypeVar("T")


class FailedQueue:
    """Every queue's failed registry at once; see `aqueue.FailedQueue`."""

    name = "failed"

    def __init__(self, twin: failed.FailedQueue) -> None:
        """Use `get_failed_queue`."""
        self._twin = twin

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call, "get_failed_queue()")

    def registries(self) -> list[EndedJobRegistry]:
        """The failed registry of each queue."""
        return [EndedJobRegistry(registry) for registry in self._drive(self._twin.registries())]

    def count(self) -> int:
        """How many failed jobs there are."""
        return self._drive(self._twin.count())

    def get_job_ids(self) -> list[str]:
        """The ids of all failed jobs, queue by queue."""
        return self._drive(self._twin.get_job_ids())

    def get_jobs(self) -> list[Job[Any]]:
        """All failed jobs."""
        return [Job(job) for job in self._drive(self._twin.get_jobs())]

    def requeue(self, job: JobView | str, at_front: bool = False) -> Job[Any]:
        """Enqueue a failed job again, in its own queue."""
        return Job(self._drive(self._twin.requeue(job, at_front)))

    def requeue_all(self, at_front: bool = False, progress: Callable[[int], None] | None = None) -> int:
        """Enqueue all failed jobs again; how many it did."""
        return self._drive(self._twin.requeue_all(at_front, progress))

    def quarantine(self, job: JobView | str, exc: BaseException | str) -> Job[Any]:
        """Put a saved or waiting job into the failed registry of its queue by hand."""
        return Job(self._drive(self._twin.quarantine(job, exc)))


def get_failed_queue(connection: Connection | None = None, **options: Unpack[SpaceOptions]) -> FailedQueue:
    """The failed jobs of all queues; no I/O."""
    return FailedQueue(failed.get_failed_queue(connection, **options))
