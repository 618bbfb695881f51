"""How outcomes and replies look on their way to the scripts and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.record import JobRecord
from aqueue._redis.scripts import Argument


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def words(reply: Any) -> list[str]:
    """A reply that is words, or numbers."""
    return [_text(word) if isinstance(word, bytes) else str(word) for word in reply]


def worded(expected: list[str], others: Sequence[Any]) -> list[str]:
    """A word for each job: the expected ones, but for those that the script names by their number from 1."""
    for at in range(0, len(others), 2):
        expected[others[at] - 1] = _text(others[at + 1])
    return expected


def claimed_leases(jobs: Sequence[Any], now: bytes, worker_name: str) -> list[Lease]:
    """What a claim hands out: id, token and fields of each job, as they are since the claim."""
    changes = {b"status": b"started", b"started_at": now}
    if worker_name:
        changes[b"worker_name"] = worker_name.encode()
    found: list[Lease] = []
    parts = iter(jobs)
    for raw_id, token, pairs in zip(parts, parts, parts, strict=True):
        halves = iter(pairs)
        fields = dict(zip(halves, halves, strict=True))
        if fields.get(b"status") != b"started":  # else it is a replay
            fields |= changes
            fields[b"token"] = token
        fields.pop(b"place", None)  # of an earlier lease, or of this one: for Redis alone
        found.append(Lease(JobRecord(_text(raw_id), fields), _text(token)))
    return found


def settlement(lease: Lease, outcome: Outcome) -> tuple[Argument, ...]:
    """kind, number, value, and where there is an error its type and message."""
    match outcome:
        case Finished(result):
            return "finish", lease.record.result_ttl, result or ""
        case Failed(kind, message, traceback):
            return "fail", 0, traceback, kind, message
        case Retried(error, delay_ms):
            return "retry", delay_ms, error.traceback, error.type, error.message
        case Released(delay_ms, unknown):
            return "release", delay_ms, "unknown" if unknown else ""
        case Stopped():
            return "stop", 0, ""
        case Canceled():
            return "cancel", 0, ""
