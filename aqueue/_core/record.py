"""`JobRecord`: what Redis holds about one job. One line a field: its name, its type, who writes it.

Fields are decoded when they are read, so that a worker pays only for what it looks at. Only
values that differ from their default are stored. Durations and instants are integer
milliseconds; the API converts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, overload

from aqueue._core.clock import LONGEST_MS
from aqueue._core.names import is_job_id
from aqueue._core.options import (
    DEFAULT_FAILURE_TTL_MS,
    DEFAULT_MAX_LOST,
    DEFAULT_RESULT_TTL_MS,
    DEFAULT_TIMEOUT_MS,
    EXECUTORS,
    RetryPolicy,
)
from aqueue._core.status import JobStatus

T = TypeVar("T")


class Field(Generic[T]):
    """One field of the record's hash: read from the raw bytes, or its default."""

    __slots__ = ("decode", "default", "key")

    def __init__(self, key: bytes, decode: Callable[[bytes], T], default: T) -> None:
        self.key: bytes = key
        self.decode: Callable[[bytes], T] = decode
        self.default: T = default

    @overload
    def __get__(self, record: None, owner: type[Any]) -> Field[T]: ...
    @overload
    def __get__(self, record: JobRecord, owner: type[Any]) -> T: ...
    def __get__(self, record: JobRecord | None, owner: type[Any]) -> T | Field[T]:
        if record is None:
            return self
        raw = record.fields.get(self.key)
        return self.default if raw is None else self.decode(raw)


def _text(raw: bytes) -> str:
    """Text that may have been cut or damaged on its way."""
    return raw.decode("utf-8", "replace")


def _status(raw: bytes) -> JobStatus:
    return JobStatus(raw.decode())


_NONE_INT: int | None = None
_NONE_STR: str | None = None
_NONE_BYTES: bytes | None = None


#: Fields that a worker relies on; another program may have written something else.
_NEEDED = frozenset({b"timeout", b"result_ttl", b"retry", b"attempts", b"misses", b"executor"})

#: Fields that change during a job's life, without the signing key. All others are signed, known or not.
CHANGING = frozenset(
    {
        b"status", b"meta", b"created_at", b"enqueued_at", b"started_at", b"ended_at", b"token", b"fence",
        b"place", b"settled", b"worker_name", b"attempts", b"lost", b"releases", b"misses", b"incarnation",
        b"request", b"exc_info", b"error_type", b"error_message", b"gone", b"sig",
    }
)  # fmt: skip


class JobRecord:
    """The facts about a job as one reply of Redis gave them; never changed in place."""

    __slots__ = ("fields", "id", "is_trusted")

    def __init__(self, id: str, fields: Mapping[bytes, bytes], is_trusted: bool = False) -> None:
        self.id: str = id
        #: The hash as Redis holds it.
        self.fields: Mapping[bytes, bytes] = fields
        #: It was made here, or its signature was verified; evolving it changes nothing about that.
        self.is_trusted: bool = is_trusted

    def check(self) -> None:
        """Read what a worker needs before and after a job runs; raises what the damaged field raises."""
        if not is_job_id(self.id):  # written by others; what was no UTF-8 has become another id
            raise ValueError("its id is none")
        if self.fields.keys() & _NEEDED:
            self.retry.delay_ms(self.attempts + 1)
            _ = self.misses, self.retry.max > self.attempts
            if max(self.timeout, self.result_ttl) > LONGEST_MS:
                raise ValueError("a duration of more than 1,000 years")
            if self.executor is not None and self.executor not in EXECUTORS:
                raise ValueError(f"unknown executor {self.executor[:40]!r}")

    def evolve(self, **changes: str | bytes | int | None) -> JobRecord:
        """A record with these fields set; None removes one."""
        fields = dict(self.fields)
        for name, value in changes.items():
            if value is None:
                fields.pop(name.encode(), None)
            else:
                fields[name.encode()] = value if isinstance(value, bytes) else str(value).encode()
        return JobRecord(self.id, fields, self.is_trusted)

    def joined(self, fields: Mapping[bytes, bytes]) -> JobRecord:
        """A record with these fields set, as Redis would hold them."""
        return JobRecord(self.id, {**self.fields, **fields}, self.is_trusted)

    #: Written by every transition.
    status: Field[JobStatus] = Field(b"status", _status, JobStatus.CREATED)
    #: The queue it belongs to; enqueue.
    queue: Field[str] = Field(b"queue", _text, "")
    #: Import path of the function; enqueue.
    function: Field[str] = Field(b"function", _text, "")
    #: Arguments as one opaque blob; enqueue. Absent in a damaged record.
    data: Field[bytes | None] = Field(b"data", bytes, _NONE_BYTES)
    #: Given by the user; enqueue. Absent: made from the function's name.
    description: Field[str | None] = Field(b"description", _text, _NONE_STR)
    #: The user's meta, encoded; enqueue and amend. Absent: {}.
    meta: Field[bytes | None] = Field(b"meta", bytes, _NONE_BYTES)
    #: May run this long, ms, -1 no limit; enqueue.
    timeout: Field[int] = Field(b"timeout", int, DEFAULT_TIMEOUT_MS)
    #: Expires unless started this long after it was queued, ms; enqueue.
    ttl: Field[int | None] = Field(b"ttl", int, _NONE_INT)
    #: Kept this long after it finished, ms, -1 for ever; enqueue.
    result_ttl: Field[int] = Field(b"result_ttl", int, DEFAULT_RESULT_TTL_MS)
    #: Kept this long after it failed, ms, -1 for ever; enqueue.
    failure_ttl: Field[int] = Field(b"failure_ttl", int, DEFAULT_FAILURE_TTL_MS)
    #: -100 to 100; enqueue.
    priority: Field[int] = Field(b"priority", int, 0)
    #: `Retry` as JSON; enqueue. Absent: never.
    retry: Field[RetryPolicy] = Field(b"retry", RetryPolicy.decode, RetryPolicy())
    #: Where it runs, "process" or "thread"; enqueue. Absent: as its worker says.
    executor: Field[str | None] = Field(b"executor", _text, _NONE_STR)
    #: Identifies the enqueue call, so that its replay is known; enqueue. Absent: the id does.
    nonce: Field[str] = Field(b"nonce", _text, "")
    #: HMAC of all that enqueue fixed, with a signing key; enqueue.
    signature: Field[bytes | None] = Field(b"sig", bytes, _NONE_BYTES)
    #: When it was first stored, unix ms; absent when it was queued at once.
    stored_at: Field[int | None] = Field(b"created_at", int, _NONE_INT)
    #: When it last became queued by enqueue, promote or requeue, unix ms.
    enqueued_at: Field[int | None] = Field(b"enqueued_at", int, _NONE_INT)
    #: When the last execution began, unix ms; claim.
    started_at: Field[int | None] = Field(b"started_at", int, _NONE_INT)
    #: When it ended, unix ms.
    ended_at: Field[int | None] = Field(b"ended_at", int, _NONE_INT)
    #: The lease's token (worker uuid : claim nonce : fence); claim. It stays, to know a replayed settle.
    token: Field[str] = Field(b"token", _text, "")
    #: Token of the execution that is over while the job waits to run again; settle.
    settled: Field[str] = Field(b"settled", _text, "")
    #: The fence, where its token was taken away; recover, requeue, enqueue.
    last_fence: Field[int] = Field(b"fence", int, 0)
    #: Name of the worker that ran it last; claim. Absent: the worker's name is its uuid, in the token.
    named_worker: Field[str | None] = Field(b"worker_name", _text, _NONE_STR)
    #: Executions that raised and were retried; settle.
    attempts: Field[int] = Field(b"attempts", int, 0)
    #: Leases lost with their worker; recover.
    lost: Field[int] = Field(b"lost", int, 0)
    #: Executions given back at a shutdown; settle.
    releases: Field[int] = Field(b"releases", int, 0)
    #: Executions given back because the function is unknown there; settle.
    misses: Field[int] = Field(b"misses", int, 0)
    #: How often the lease may be lost; enqueue.
    max_lost: Field[int] = Field(b"max_lost", int, DEFAULT_MAX_LOST)
    #: How often this id was requeued or reused; enqueue and requeue.
    incarnation: Field[int] = Field(b"incarnation", int, 0)
    #: "cancel" or "stop" was asked of the running job; cancel.
    request: Field[str | None] = Field(b"request", _text, _NONE_STR)
    #: Traceback text; fail, stop, recover, quarantine.
    exc_info: Field[str | None] = Field(b"exc_info", _text, _NONE_STR)
    #: Class name of the exception; with exc_info.
    error_type: Field[str] = Field(b"error_type", _text, "")
    #: Its message; with exc_info.
    error_message: Field[str] = Field(b"error_message", _text, "")
    #: Set on what is left for a minute of a job that finished with result_ttl=0.
    gone: Field[bool] = Field(b"gone", bool, False)

    @property
    def created_at(self) -> int | None:
        """When it was first stored, unix ms."""
        return self.enqueued_at if self.stored_at is None else self.stored_at

    @property
    def worker_name(self) -> str | None:
        """The worker that runs it or ran it last."""
        return self.named_worker or self.token.partition(":")[0] or None

    @property
    def fence(self) -> int:
        """Counts every lease of this id, over all incarnations: the number of the last one."""
        numbers = (token.rpartition(":")[2] or 0 for token in (self.token, self.settled))
        return max(self.last_fence, *map(int, numbers))

    @property
    def retries_left(self) -> int | None:
        """Retries that are left; None without a retry policy."""
        return max(0, self.retry.max - self.attempts) if self.retry.max else None


#: Fields that hold whole numbers; `place` is one that only scripts read.
NUMBERS: frozenset[bytes] = frozenset(
    {field.key for field in vars(JobRecord).values() if isinstance(field, Field) and field.decode is int}
    | {b"place"}
)
