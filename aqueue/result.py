"""`Result`: how one execution of a job ended, and what `wait` raises for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from aqueue._core.clock import to_instant
from aqueue._core.codec import Codec
from aqueue._core.record import JobRecord
from aqueue._core.status import ENDED, JobStatus
from aqueue._redis.lookups import PastExecution, Snapshot
from aqueue.errors import (
    JobCanceled,
    JobError,
    JobExpired,
    JobFailed,
    JobProcessDied,
    JobStopped,
    JobTimeout,
    NoSuchJobError,
    PayloadError,
)


class ResultType(Enum):
    """How an execution ended."""

    SUCCESSFUL = 1
    FAILED = 2
    STOPPED = 3
    #: It failed and ran again.
    RETRIED = 4
    #: Canceled or expired: there was no execution, or it was cut short.
    CANCELED = 6
    EXPIRED = 7


_TYPES = {
    "finished": ResultType.SUCCESSFUL,
    "failed": ResultType.FAILED,
    "stopped": ResultType.STOPPED,
    "retried": ResultType.RETRIED,
    "canceled": ResultType.CANCELED,
    "expired": ResultType.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Result:
    """How one execution of a job ended."""

    Type = ResultType

    job_id: str
    type: ResultType
    #: When it ended.
    created_at: datetime | None
    #: What the function returned; None unless SUCCESSFUL.
    return_value: Any = None
    #: The traceback's text; None unless it raised.
    exc_string: str | None = None
    worker_name: str | None = None
    execution_started_at: datetime | None = None

    @property
    def execution_ended_at(self) -> datetime | None:
        """When it ended."""
        return self.created_at


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else to_instant(ms)


def _value(codec: Codec, record: JobRecord, raw: bytes | None) -> Any:
    return codec.decode_result(record, raw) if raw else None


def current_result(snapshot: Snapshot, codec: Codec) -> Result | None:
    """The outcome of an ended job; None while it has not ended."""
    record = snapshot.record
    if record.status not in ENDED:
        return None
    return Result(
        record.id,
        _TYPES[record.status],
        _instant(record.ended_at),
        _value(codec, record, snapshot.result),
        record.exc_info,
        record.worker_name,
        _instant(record.started_at),
    )


def past_result(record: JobRecord, past: PastExecution, codec: Codec) -> Result:
    """An execution that was followed by another.

    Raises:
        PayloadError: It ended in no way that we know, or its result cannot be decoded.
    """
    kind, finished = _TYPES.get(past.status), past.status == "finished"
    if kind is None:
        raise PayloadError(f"the history of job {record.id!r} is damaged")
    return Result(
        record.id,
        kind,
        _instant(past.ended_at),
        _value(codec, record, past.value) if finished else None,
        past.value.decode("utf-8", "replace") if past.value and not finished else None,
        past.worker_name,
        _instant(past.started_at),
    )


def outcome_error(job_id: str, snapshot: Snapshot | None) -> JobError | None:
    """What `wait` raises for a job that has ended or is gone; None when it finished."""
    if snapshot is None:
        return NoSuchJobError(job_id)
    record = snapshot.record
    if record.gone:
        return NoSuchJobError(job_id, f"job {job_id!r} finished and its result was not kept (result_ttl=0)")
    match record.status:
        case JobStatus.FAILED:
            return _failure(record)
        case JobStatus.STOPPED:
            return JobStopped(job_id)
        case JobStatus.CANCELED:
            return JobCanceled(job_id)
        case JobStatus.EXPIRED:
            return JobExpired(job_id)
        case _:
            return None


def _failure(record: JobRecord) -> JobFailed:
    kind = {"JobTimeout": JobTimeout, "JobProcessDied": JobProcessDied}.get(record.error_type, JobFailed)
    return kind(
        record.id, type=record.error_type, message=record.error_message, traceback=record.exc_info or ""
    )
