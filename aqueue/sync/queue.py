"""`Queue` for code without an event loop; see `aqueue.queue`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self, TypeVar, Unpack

from aqueue._core.clock import Duration
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES, Executor
from aqueue.connection import Connection, SpaceOptions
from aqueue.middleware import EnqueueMiddleware
from aqueue.queue import Queue as AsyncQueue
from aqueue.snapshot import JobView
from aqueue.sync.driving import drive
from aqueue.sync.enqueuing import Enqueuing
from aqueue.sync.jobs import Job
from aqueue.sync.registry import EndedJobRegistry, JobRegistry, ScheduledJobRegistry

T = TypeVar("T")


class Queue(Enqueuing):
    """A named queue; see `aqueue.Queue`, whose names, parameters and errors it has.

    Threads may share it: each that calls at the same time has a connection of its own. After a fork the child
    opens its own. In a coroutine every call that does I/O raises RuntimeError and names the awaited form.
    """

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
        """Name a queue; see `aqueue.Queue`. Middleware may await nothing of its own here.

        Raises:
            SettingsError: A value that cannot be used.
        """
        self._queue = AsyncQueue(
            name, connection, default_timeout, is_async, max_job_bytes=max_job_bytes, executor=executor,
            middleware=middleware, durability=durability, **options,
        )  # fmt: skip

    @property
    def name(self) -> str:
        """Its name."""
        return self._queue.name

    @property
    def is_async(self) -> bool:
        """Whether workers run its jobs; if not, they run where they are enqueued."""
        return self._queue.is_async

    def __repr__(self) -> str:
        return repr(self._queue)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Queue) and other._queue == self._queue

    def __hash__(self) -> int:
        return hash(self._queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections of this process to this Redis; the next call opens new ones."""
        self._queue.space.connector.sync_client().close()

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call, "queue")

    def count(self) -> int:
        """How many jobs wait in it."""
        return self._drive(self._queue.count())

    def is_empty(self) -> bool:
        """Whether no job waits in it."""
        return self._drive(self._queue.is_empty())

    def get_job_ids(self, offset: int = 0, length: int = -1) -> list[str]:
        """Ids of waiting jobs in the order in which they start."""
        return self._drive(self._queue.get_job_ids(offset, length))

    def get_jobs(self, offset: int = 0, length: int = -1) -> list[Job[Any]]:
        """Waiting jobs in the order in which they start."""
        return [Job(job) for job in self._drive(self._queue.get_jobs(offset, length))]

    def fetch_job(self, job_id: str) -> Job[Any] | None:
        """The job of this id if it belongs to this queue."""
        job = self._drive(self._queue.fetch_job(job_id))
        return None if job is None else Job(job)

    def get_job_position(self, job: JobView | str) -> int | None:
        """How many jobs are before it; None when it does not wait here."""
        return self._drive(self._queue.get_job_position(job))

    def remove(self, job: JobView | str) -> None:
        """Cancel a job that waits in this queue; see `aqueue.Queue.remove`."""
        self._drive(self._queue.remove(job))

    def empty(self, progress: Callable[[int], None] | None = None) -> int:
        """Delete all jobs that wait in it; how many there were."""
        return self._drive(self._queue.empty(progress))

    def delete(self, delete_jobs: bool = True) -> None:
        """Delete the queue with all its jobs, ended ones too; see `aqueue.Queue.delete`."""
        self._drive(self._queue.delete(delete_jobs))

    def pause(self) -> None:
        """Let workers pass over it until `resume`; running jobs go on, enqueuing too."""
        self._drive(self._queue.pause())

    def resume(self) -> None:
        """Let workers serve it again."""
        self._drive(self._queue.resume())

    def is_paused(self) -> bool:
        """Whether it is paused."""
        return self._drive(self._queue.is_paused())

    @classmethod
    def all(cls, connection: Connection | None = None, **options: Unpack[SpaceOptions]) -> list[Queue]:
        """All queues of the namespace that have, or had, jobs."""
        found = drive(AsyncQueue.all(connection, **options), "Queue")
        return [cls(queue.name, connection, **options) for queue in found]

    @property
    def started_job_registry(self) -> JobRegistry[Any]:
        """Its running jobs."""
        return JobRegistry(self._queue.started_job_registry)

    @property
    def finished_job_registry(self) -> EndedJobRegistry:
        """Its finished jobs."""
        return EndedJobRegistry(self._queue.finished_job_registry)

    @property
    def failed_job_registry(self) -> EndedJobRegistry:
        """Its failed and stopped jobs."""
        return EndedJobRegistry(self._queue.failed_job_registry)

    @property
    def deferred_job_registry(self) -> JobRegistry[Any]:
        """Its jobs that wait for others."""
        return JobRegistry(self._queue.deferred_job_registry)

    @property
    def scheduled_job_registry(self) -> ScheduledJobRegistry:
        """Its scheduled jobs."""
        return ScheduledJobRegistry(self._queue.scheduled_job_registry)

    @property
    def canceled_job_registry(self) -> EndedJobRegistry:
        """Its canceled jobs."""
        return EndedJobRegistry(self._queue.canceled_job_registry)

    @property
    def expired_job_registry(self) -> EndedJobRegistry:
        """Its expired jobs."""
        return EndedJobRegistry(self._queue.expired_job_registry)
