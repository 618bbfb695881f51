"""`JobView`: a job's attributes as the last read found them. Reading them is free; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from aqueue._core.clock import to_instant, to_seconds
from aqueue._core.codec import Codec
from aqueue._core.functions import describe_call
from aqueue._core.options import show_limit
from aqueue._core.record import JobRecord
from aqueue._core.status import JobStatus
from aqueue._redis.lookups import Snapshot
from aqueue.errors import BadSignature, JobInterrupted, PayloadError, SettingsError


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else to_instant(ms)


class JobView:
    """What a job was when it was last read: made, fetched, refreshed or waited for."""

    __slots__ = ("__weakref__", "_asked", "_call", "_codec", "_meta", "_record", "_result", "_token")

    def __init__(self, record: JobRecord, codec: Codec, result: bytes | None = None) -> None:
        self._record = record
        self._codec = codec
        self._result = result
        self._call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._meta: dict[str, Any] | None = None
        #: Set where it runs: the token of its lease.
        self._token = ""
        #: Set where it runs: why it is to end before its time.
        self._asked: Callable[[], str | None] | None = None

    def _renew(self, snapshot: Snapshot) -> None:
        """Take over what a read found."""
        self._record = snapshot.record
        self._result = snapshot.result
        self._call = self._meta = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}: {self.func_name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobView) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def id(self) -> str:
        """The job's id."""
        return self._record.id

    @property
    def status(self) -> JobStatus:
        """Its status at the last read; `await get_status()` asks Redis."""
        return self._record.status

    @property
    def func_name(self) -> str:
        """Import path of its function."""
        return self._record.function

    @property
    def func(self) -> Callable[..., Any]:
        """Its function, imported now.

        Raises:
            BadSignature: With a signing key: the job was not signed with it.
            UnknownFunction: It does not exist here.
        """
        return self._codec.find_function(self._codec.seal.verified(self._record).function)

    @property
    def args(self) -> tuple[Any, ...]:
        """Its positional arguments, decoded at the first look.

        Raises:
            BadSignature: With a signing key: the job was not signed with it.
            PayloadError: They cannot be decoded here.
        """
        return self._decoded()[0]

    @property
    def kwargs(self) -> dict[str, Any]:
        """Its keyword arguments; see `args`."""
        return self._decoded()[1]

    def _decoded(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._call is None:
            self._call = self._codec.decode_call(self._record)
        return self._call

    @property
    def description(self) -> str:
        """The given description, else the call: `module.f(1, b=2)`."""
        if self._record.description is not None:
            return self._record.description
        try:
            return describe_call(self.func_name, self.args, self.kwargs)
        except (BadSignature, PayloadError, SettingsError):
            return f"{self.func_name}(...)"

    @property
    def result(self) -> Any:
        """What its function returned; None before that, and after its result_ttl.

        Raises:
            BadSignature: With a signing key: it was not signed with it.
            PayloadError: It cannot be decoded here.
        """
        return None if self._result is None else self._codec.decode_result(self._record, self._result)

    @property
    def meta(self) -> dict[str, Any]:
        """The user's own data; change it in place, then `await save_meta()`.

        Raises:
            BadSignature: With a signing key: it was not signed with it.
            PayloadError: It cannot be decoded here.
        """
        if self._meta is None:
            self._meta = self._codec.decode_meta(self._record)
        return self._meta

    @meta.setter
    def meta(self, value: dict[str, Any]) -> None:
        self._meta = value

    @property
    def exc_info(self) -> str | None:
        """The traceback of a failed job, ending in `Type: message`; None otherwise."""
        return self._record.exc_info

    @property
    def origin(self) -> str:
        """The name of its queue; "" for a job that belongs to none yet."""
        return self._record.queue

    @property
    def worker_name(self) -> str | None:
        """The worker that runs it, or ran it last."""
        return self._record.worker_name

    @property
    def created_at(self) -> datetime | None:
        """When it was made; instants are aware and in UTC."""
        return _instant(self._record.created_at)

    @property
    def enqueued_at(self) -> datetime | None:
        """When it was last queued; None while it is scheduled or only saved."""
        return _instant(self._record.enqueued_at)

    @property
    def started_at(self) -> datetime | None:
        """When its last execution began."""
        return _instant(self._record.started_at)

    @property
    def ended_at(self) -> datetime | None:
        """When it ended."""
        return _instant(self._record.ended_at)

    @property
    def timeout(self) -> int | float:
        """May run this many seconds; -1: no limit."""
        return show_limit(self._record.timeout)

    @property
    def ttl(self) -> int | float | None:
        """Expires unless it is started this many seconds after it was queued."""
        return None if self._record.ttl is None else to_seconds(self._record.ttl)

    @property
    def result_ttl(self) -> int | float:
        """Kept this many seconds after it finished; -1: for ever."""
        return show_limit(self._record.result_ttl)

    @property
    def failure_ttl(self) -> int | float:
        """Kept this many seconds after it failed; -1: for ever."""
        return show_limit(self._record.failure_ttl)

    @property
    def priority(self) -> int:
        """-100 to 100, higher first."""
        return self._record.priority

    @property
    def executor(self) -> str | None:
        """Where it runs, "process" or "thread", if it or its queue says so; None: as its worker says."""
        return self._record.executor

    @property
    def retries_left(self) -> int | None:
        """Retries that are left; None without Retry."""
        return self._record.retries_left

    @property
    def fencing_token(self) -> int | None:
        """A number for your own stores, higher with each execution of this id; None but for the current job.

        A store that keeps the highest number it has seen, and refuses lower ones, is safe from an execution
        that lost its lease and does not know it yet. The numbers rise for as long as the job's record is
        kept, requeued or not: an id that is used again after that begins at 1.
        """
        return int(self._token.rpartition(":")[2]) if self._token else None

    def raise_if_stopped(self) -> None:
        """End this execution here if it was asked to end: for code that nothing else interrupts.

        For the current job, in coroutines, threads and child processes; any other handle never raises.

        Raises:
            JobInterrupted: Its timeout has passed, it was stopped or canceled, its lease was lost, or the
                worker shuts down and the grace is over. Clean up and let it pass.
        """
        reason = None if self._asked is None else self._asked()
        if reason is not None:
            raise JobInterrupted(self.id, reason)

    @property
    def is_queued(self) -> bool:
        """It waits for a worker."""
        return self.status is JobStatus.QUEUED

    @property
    def is_started(self) -> bool:
        """A worker runs it."""
        return self.status is JobStatus.STARTED

    @property
    def is_finished(self) -> bool:
        """Its function returned."""
        return self.status is JobStatus.FINISHED

    @property
    def is_failed(self) -> bool:
        """It raised, timed out, was abandoned or quarantined."""
        return self.status is JobStatus.FAILED

    @property
    def is_deferred(self) -> bool:
        """It waits for other jobs."""
        return self.status is JobStatus.DEFERRED

    @property
    def is_scheduled(self) -> bool:
        """It waits for its due time."""
        return self.status is JobStatus.SCHEDULED

    @property
    def is_stopped(self) -> bool:
        """It was stopped while it ran."""
        return self.status is JobStatus.STOPPED

    @property
    def is_canceled(self) -> bool:
        """It was canceled."""
        return self.status is JobStatus.CANCELED

    @property
    def is_expired(self) -> bool:
        """Its ttl passed before it was started."""
        return self.status is JobStatus.EXPIRED
