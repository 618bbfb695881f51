"""The registries of a queue for code without an event loop; see `aqueue.registry`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from aqueue import registry
from aqueue.snapshot import JobView
from aqueue.sync.driving import drive
from aqueue.sync.jobs import Job

T = TypeVar("T")
Kind = TypeVar("Kind", bound=registry.JobRegistry)


class JobRegistry(Generic[Kind]):
    """The jobs of one queue in one kind of status; see `aqueue.registry.JobRegistry`."""

    def __init__(self, twin: Kind) -> None:
        """Use `Queue.failed_job_registry` and its like."""
        self._twin = twin

    def __repr__(self) -> str:
        return repr(self._twin)

    @property
    def kind(self) -> str:
        """What it lists: "started", "failed" ..."""
        return self._twin.kind

    @property
    def name(self) -> str:
        """The queue's name."""
        return self._twin.name

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call, "registry")

    def __iter__(self) -> Iterator[str]:
        """The ids as they were when the loop began; jobs may be requeued or removed meanwhile."""
        return iter(self.get_job_ids())

    def count(self) -> int:
        """How many jobs it lists."""
        return self._drive(self._twin.count())

    def get_job_ids(self, start: int = 0, end: int = -1, desc: bool = False) -> list[str]:
        """Ids in the registry's order; see `aqueue.registry.JobRegistry.get_job_ids`."""
        return self._drive(self._twin.get_job_ids(start, end, desc))

    def contains(self, job: JobView | str) -> bool:
        """Whether it lists this job."""
        return self._drive(self._twin.contains(job))

    def remove(self, job: JobView | str, delete_job: bool = True) -> None:
        """Remove the job from the registry and delete its record."""
        self._drive(self._twin.remove(job, delete_job))


class ScheduledJobRegistry(JobRegistry[registry.ScheduledJobRegistry]):
    """Jobs that wait for their due time, by that time."""

    def get_scheduled_time(self, job: JobView | str) -> datetime:
        """When the job is due."""
        return self._drive(self._twin.get_scheduled_time(job))


class EndedJobRegistry(JobRegistry[registry.EndedJobRegistry]):
    """Jobs that have ended, by when they are removed."""

    def get_expiration_time(self, job: JobView | str) -> datetime | None:
        """When the job is removed; None: never."""
        return self._drive(self._twin.get_expiration_time(job))

    def requeue(self, job: JobView | str, at_front: bool = False) -> Job[Any]:
        """Enqueue one of its jobs again; see `Job.requeue`."""
        return Job(self._drive(self._twin.requeue(job, at_front)))

    def requeue_many(self, job_ids: Sequence[str], at_front: bool = False) -> dict[str, str]:
        """Enqueue jobs again; "ok", "missing" or its status, for each."""
        return self._drive(self._twin.requeue_many(job_ids, at_front))

    def requeue_all(self, at_front: bool = False, progress: Callable[[int], None] | None = None) -> int:
        """Enqueue all jobs again that it lists now; how many it did."""
        return self._drive(self._twin.requeue_all(at_front, progress))
