"""Reads for who looks at jobs: rows of a list, without what the jobs carry, and all about one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aqueue._core.record import JobRecord
from aqueue._redis.keys import Keys
from aqueue._redis.lookups import Snapshot, snapshots
from aqueue._redis.operations import Lookup
from aqueue._redis.scripts import Argument

#: What a row tells; payloads, tracebacks and whatever else may be long stay in Redis.
ROW_FIELDS = (
    b"status", b"queue", b"function", b"description", b"priority", b"created_at", b"enqueued_at",
    b"started_at", b"ended_at", b"token", b"worker_name", b"error_type", b"error_message",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A job of a registry, in short."""

    id: str
    #: The queue that lists it.
    queue: str
    #: None: there is no such record, or it cannot be read.
    record: JobRecord | None = None
    #: Its score there: a due time, the end of a lease or a removal time, unix ms; in a queue, its place.
    score: float | None = None


def rows(keys: Keys, registry: str, queue: str, job_ids: Sequence[str]) -> Lookup[list[Row]]:
    """Jobs that a registry lists, in the order asked for."""
    key = keys.registry(registry, queue)
    commands: list[tuple[Argument, ...]] = []
    for job_id in job_ids:
        commands += (("HMGET", keys.job(job_id), *ROW_FIELDS), ("ZSCORE", key, job_id))

    def decode(replies: list[Any]) -> list[Row]:
        pairs = zip(job_ids, replies[::2], replies[1::2], strict=True)
        return [_row(job_id, queue, values, score) for job_id, values, score in pairs]

    return Lookup(commands, decode)


def _row(job_id: str, queue: str, values: Sequence[bytes | None], score: bytes | None) -> Row:
    fields = {name: value for name, value in zip(ROW_FIELDS, values, strict=True) if value is not None}
    return Row(
        job_id,
        queue,
        JobRecord(job_id, fields) if b"status" in fields else None,
        None if score is None else float(score),
    )


def dated_snapshot(keys: Keys, job_id: str) -> Lookup[tuple[Snapshot | None, int]]:
    """A job with its result, and Redis' time, unix ms."""
    lookup = snapshots(keys, [job_id])

    def decode(replies: list[Any]) -> tuple[Snapshot | None, int]:
        return lookup.decode(replies[1:])[0], _ms(replies[0])

    return Lookup([("TIME",), *lookup.commands], decode)


def time_ms() -> Lookup[int]:
    """Redis' time, unix ms."""
    return Lookup([("TIME",)], lambda replies: _ms(replies[0]))


def _ms(reply: Any) -> int:
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000


def overdue(keys: Keys, registry: str, queues: Sequence[str], before_ms: int) -> Lookup[list[int]]:
    """How many jobs of each queue's registry have a score, a due time or the end of a lease, before this."""
    commands = [("ZCOUNT", keys.registry(registry, queue), "-inf", before_ms) for queue in queues]
    return Lookup(commands, lambda replies: [int(reply) for reply in replies])
