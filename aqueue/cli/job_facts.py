"""What is told of a job: its facts as JSON has them. Nothing that the job carries is decoded here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aqueue._core.clock import LONGEST_MS, to_instant
from aqueue._core.options import show_limit
from aqueue._core.record import JobRecord
from aqueue.inspection import Inspection, PastExecution, Row, fact

#: Characters of a text that was written by others, in a list and of one job.
LIST_TEXT = 500
WHOLE_TEXT = 100_000
#: Earlier executions that are told; Redis keeps 9.
MOST_EARLIER = 20

#: What the score of a job in its registry says.
_SCORES = {
    "scheduled": "due_at", "started": "lease_until", "finished": "removed_at", "failed": "removed_at",
    "stopped": "removed_at", "canceled": "removed_at", "expired": "removed_at",
}  # fmt: skip
_INSTANTS = ("created_at", "enqueued_at", "started_at", "ended_at")


def row_facts(row: Row) -> dict[str, Any]:
    """A job of a list; "unreadable" where its record is gone or foreign."""
    if row.record is None:
        return {**_head(row.id, JobRecord(row.id, {}), row.queue), "status": "unreadable"}
    found = _head(row.id, row.record, row.queue)
    return {**found, **_scored(found["status"], row.score), "error": _error(row.record, LIST_TEXT)}


def _head(job_id: str, record: JobRecord, queue: str) -> dict[str, Any]:
    instants = {name: instant(fact(record, name)) for name in _INSTANTS}
    return {
        "id": job_id,
        "status": status(record),
        "queue": queue,
        "function": cut(record.function, LIST_TEXT),
        "description": record.description and cut(record.description, 2 * LIST_TEXT),
        "priority": fact(record, "priority"),
        **instants,
        **dict.fromkeys(_SCORES.values()),
        "worker_name": record.worker_name and cut(record.worker_name, LIST_TEXT),
        "error": None,
    }


def whole_facts(job: Inspection) -> dict[str, Any]:
    """All about a job."""
    record = job.record
    head = _head(record.id, record, record.queue)
    return {
        **head,
        **_scored(head["status"], job.score),
        "position": job.position,
        "executor": record.executor and cut(record.executor, 64),
        **_limits(record),
        **_counters(record),
        "signed": record.signature is not None,
        "arguments_bytes": None if record.data is None else len(record.data),
        "meta_bytes": None if record.meta is None else len(record.meta),
        "result_bytes": job.result_bytes,
        "error": _whole_error(record),
        "earlier": None if job.earlier is None else [_earlier(past) for past in job.earlier[:MOST_EARLIER]],
    }


def status(record: JobRecord) -> str:
    """Its status, also one that there is not."""
    found = fact(record, "status")
    return (
        str(found)
        if found is not None
        else cut(record.fields.get(b"status", b"").decode("utf-8", "replace"), 64)
    )


def _scored(word: str, score: float | None) -> dict[str, Any]:
    """What the score says; a job that is kept for ever is removed never."""
    name = _SCORES.get(word)
    if name is None or score is None or abs(score) == float("inf") or score != score:
        return {}
    return {name: instant(int(score))}


def _limits(record: JobRecord) -> dict[str, Any]:
    """Durations in seconds, -1 for no limit."""
    return {name: _seconds(fact(record, name)) for name in ("timeout", "result_ttl", "failure_ttl", "ttl")}


def _seconds(ms: int | None) -> int | float | None:
    """None also for what no program of ours writes."""
    return None if ms is None or abs(ms) > LONGEST_MS else show_limit(ms)


def _count(value: object) -> int | None:
    """None for what is no number: a retry policy holds what its writer liked."""
    return value if isinstance(value, int) else None


def _counters(record: JobRecord) -> dict[str, Any]:
    retry = fact(record, "retry")
    return {
        "retries": retry and _count(retry.max),
        "retries_left": _count(fact(record, "retries_left")),
        "failed_attempts": fact(record, "attempts"),
        "lost_leases": fact(record, "lost"),
        "releases": fact(record, "releases"),
        "incarnation": fact(record, "incarnation"),
        "requested": record.request and cut(record.request, 64),
    }


def _error(record: JobRecord, most: int) -> dict[str, Any] | None:
    if not (record.error_type or record.error_message):
        return None
    return {"type": cut(record.error_type, most), "message": cut(record.error_message, most)}


def _whole_error(record: JobRecord) -> dict[str, Any] | None:
    found = _error(record, WHOLE_TEXT)
    if record.exc_info is None:
        return found
    empty = {"type": "", "message": ""}
    return {**(found or empty), "traceback": cut(record.exc_info, WHOLE_TEXT)}


def _earlier(past: PastExecution) -> dict[str, Any]:
    error = None
    if past.error_type or past.error_message:
        text = past.value.decode("utf-8", "replace")
        error = {
            "type": cut(past.error_type, WHOLE_TEXT),
            "message": cut(past.error_message, WHOLE_TEXT),
            "traceback": cut(text, WHOLE_TEXT),
        }
    return {
        "status": cut(past.status, 64),
        "started_at": instant(past.started_at),
        "ended_at": instant(past.ended_at),
        "worker_name": past.worker_name and cut(past.worker_name, LIST_TEXT),
        "result_bytes": len(past.value) if past.value and error is None else None,
        "error": error,
    }


def instant(ms: int | None) -> str | None:
    """ISO 8601 in UTC."""
    return None if ms is None else to_instant(ms).isoformat()


def age(text: str, now_ms: int) -> float:
    """Seconds since an instant, negative when it is ahead."""
    return (to_instant(now_ms) - datetime.fromisoformat(text)).total_seconds()


def cut(text: str, most: int) -> str:
    """The text, and not endless."""
    return text if len(text) <= most else text[: most - 1] + "…"
