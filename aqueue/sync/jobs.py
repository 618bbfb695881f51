"""`Job` for code without an event loop: the same attributes, I/O without `await`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Generic, Self, TypeVar, Unpack

from aqueue._core.clock import Duration
from aqueue._core.options import Executor, Retry
from aqueue._core.status import JobStatus
from aqueue.connection import Connection, SpaceOptions
from aqueue.jobs import Job as AsyncJob
from aqueue.result import Result
from aqueue.snapshot import JobView
from aqueue.sync.driving import drive

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class _Shared:
    """A slot of the handle that this one drives: what one of them reads or sets, the other one has."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, job: Job[Any], owner: type) -> Any:
        return getattr(job._job, self._name)

    def __set__(self, job: Job[Any], value: Any) -> None:
        setattr(job._job, self._name, value)


class Job(JobView, Generic[R_co]):
    """A job; see `aqueue.Job`, whose names, parameters and errors it has."""

    __slots__ = ("_job",)

    _asked: Any = _Shared()
    _call: Any = _Shared()
    _codec: Any = _Shared()
    _meta: Any = _Shared()
    _record: Any = _Shared()
    _result: Any = _Shared()
    _token: Any = _Shared()

    def __init__(self, job: AsyncJob[R_co]) -> None:
        """Use `Job.create`, `Job.fetch`, `Queue.enqueue` or `get_current_job`."""
        self._job = job

    @classmethod
    def create(
        cls,
        func: Callable[..., Any] | str,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        id: str | None = None,
        timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        ttl: Duration | None = None,
        failure_ttl: Duration | None = None,
        description: str | None = None,
        origin: str = "",
        meta: Mapping[str, Any] | None = None,
        retry: Retry | int | None = None,
        priority: int | None = None,
        at_front: bool | None = None,
        executor: Executor | None = None,
        durability: str | None = None,
        **space_options: Unpack[SpaceOptions],
    ) -> Job[Any]:
        """Make a job without storing it; see `aqueue.Job.create`."""
        job = AsyncJob.create(
            func, args, kwargs, connection=connection, id=id, timeout=timeout, result_ttl=result_ttl,
            ttl=ttl, failure_ttl=failure_ttl, description=description, origin=origin, meta=meta, retry=retry,
            priority=priority, at_front=at_front, executor=executor, durability=durability,
            **space_options,
        )  # fmt: skip
        return Job(job)

    @classmethod
    def fetch(
        cls,
        id: str,
        connection: Connection | None = None,
        **options: Unpack[SpaceOptions],
    ) -> Job[Any]:
        """Read a job with its result; see `aqueue.Job.fetch`."""
        return Job(drive(AsyncJob.fetch(id, connection, **options), "Job"))

    @classmethod
    def fetch_many(
        cls,
        ids: Iterable[str],
        connection: Connection | None = None,
        **options: Unpack[SpaceOptions],
    ) -> list[Job[Any] | None]:
        """Read jobs with their results; see `aqueue.Job.fetch_many`."""
        found = drive(AsyncJob.fetch_many(ids, connection, **options), "Job")
        return [None if job is None else Job(job) for job in found]

    @classmethod
    def exists(cls, id: str, connection: Connection | None = None, *, namespace: str | None = None) -> bool:
        """Whether there is a job of this id."""
        return drive(AsyncJob.exists(id, connection, namespace=namespace), "Job")

    @property
    def origin(self) -> str:
        """The name of its queue. May be set until the job is stored."""
        return self._job.origin

    @origin.setter
    def origin(self, name: str) -> None:
        self._job.origin = name

    @property
    def state(self) -> Any:
        """What the worker's lifespan yielded; see `aqueue.Job.state`."""
        return self._job.state

    @property
    def result(self) -> R_co | None:
        """What its function returned; see `aqueue.Job.result`."""
        return self._job.result

    def _drive(self, call: Coroutine[Any, Any, T]) -> T:
        return drive(call, "job")

    def save(self) -> Self:
        """Store a new job without enqueuing it; see `aqueue.Job.save`."""
        self._drive(self._job.save())
        return self

    def refresh(self) -> None:
        """Read the job again, with its result; see `aqueue.Job.refresh`."""
        self._drive(self._job.refresh())

    def get_status(self, refresh: bool = True) -> JobStatus:
        """Its status now; with `refresh=False` as last read."""
        return self._drive(self._job.get_status(refresh))

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Its meta now; with `refresh=False` as last read."""
        return self._drive(self._job.get_meta(refresh))

    def save_meta(self) -> None:
        """Write `meta`, the whole of it; see `aqueue.Job.save_meta`."""
        self._drive(self._job.save_meta())

    def get_position(self) -> int | None:
        """How many jobs are before it in its queue; None when it does not wait."""
        return self._drive(self._job.get_position())

    def wait(self, timeout: Duration | None = None) -> R_co:
        """Wait until the job has ended, and return what its function returned; see `aqueue.Job.wait`.

        Told by Redis on a connection of its own. While Redis does not answer, it may take 10 s longer.
        """
        return self._drive(self._job.wait(timeout))

    def return_value(self, refresh: bool = False) -> R_co | None:
        """What its function returned; None before that."""
        return self._drive(self._job.return_value(refresh))

    def latest_result(self, timeout: Duration = 0) -> Result | None:
        """How its last execution ended; see `aqueue.Job.latest_result`."""
        return self._drive(self._job.latest_result(timeout))

    def results(self) -> list[Result]:
        """How its executions ended, newest first; the last ten are kept."""
        return self._drive(self._job.results())

    def cancel(self) -> None:
        """Cancel it: at once while it waits; a running one is asked; see `aqueue.Job.cancel`."""
        self._drive(self._job.cancel())

    def stop(self) -> None:
        """Ask a running job to end; see `aqueue.Job.stop`."""
        self._drive(self._job.stop())

    def requeue(self, at_front: bool = False) -> None:
        """Enqueue an ended job again, with fresh retries; see `aqueue.Job.requeue`."""
        self._drive(self._job.requeue(at_front))

    def delete(self) -> None:
        """Remove the job, its result and its history; see `aqueue.Job.delete`."""
        self._drive(self._job.delete())
