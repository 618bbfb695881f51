"""Reads that need no script: records, results, histories, queues and workers. One pipeline each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aqueue._core.record import JobRecord
from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup
from aqueue._redis.scripts import Argument
from aqueue.errors import PayloadError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job as one read found it."""

    record: JobRecord
    #: The encoded return value; None when there is none.
    result: bytes | None


def snapshots(keys: Keys, job_ids: Sequence[str]) -> Lookup[list[Snapshot | None]]:
    """Records and results, in the order asked for; None for a missing one.

    A tombstone counts as one here, so that `wait` can tell what happened: see `JobRecord.gone`.
    """
    commands: list[tuple[Argument, ...]] = [("HGETALL", keys.job(job_id)) for job_id in job_ids]
    commands.append(("MGET", *(keys.result(job_id) for job_id in job_ids)))

    def decode(replies: list[Any]) -> list[Snapshot | None]:
        results = replies[-1]
        return [
            Snapshot(JobRecord(job_id, dict(zip(flat[::2], flat[1::2], strict=True))), result)
            if flat
            else None
            for job_id, flat, result in zip(job_ids, replies, results, strict=False)
        ]

    return Lookup(commands, decode) if job_ids else Lookup([], lambda replies: [])


def statuses(keys: Keys, job_ids: Sequence[str]) -> Lookup[list[tuple[bytes | None, bytes | None]]]:
    """(status, gone) of each job: the least that tells whether it has ended."""
    commands = [("HMGET", keys.job(job_id), "status", "gone") for job_id in job_ids]
    return Lookup(commands, lambda replies: [(status, gone) for status, gone in replies])


@dataclass(frozen=True, slots=True)
class PastExecution:
    """An execution that is over and was followed by another."""

    status: str
    started_at: int | None
    ended_at: int | None
    worker_name: str | None
    error_type: str
    error_message: str
    #: The encoded result, or the traceback's text.
    value: bytes


def history(keys: Keys, job_id: str) -> Lookup[list[PastExecution]]:
    """Earlier executions of a job, newest first, at most 9; PayloadError where others have written them."""

    def decode(replies: list[Any]) -> list[PastExecution]:
        try:
            return [_past(entry) for entry in replies[0]]
        except ValueError as error:
            raise PayloadError(f"the history of job {job_id!r} is damaged") from error

    return Lookup([("LRANGE", keys.history(job_id), 0, -1)], decode)


def _past(entry: bytes) -> PastExecution:
    """Read what `lib/history.lua` writes: each part as its length, a colon and its bytes."""
    parts: list[bytes] = []
    while entry:
        length, _, entry = entry.partition(b":")
        parts.append(entry[: int(length)])
        entry = entry[int(length) :]
    status, started, ended, worker, error_type, error_message, value = parts
    return PastExecution(
        status.decode(),
        int(started) if started else None,
        int(ended) if ended else None,
        worker.decode() or None,
        error_type.decode("utf-8", "replace"),
        error_message.decode("utf-8", "replace"),
        value,
    )


def queue_names(keys: Keys) -> Lookup[list[str]]:
    """All queues that have, or had, jobs; sorted."""
    return Lookup([("SMEMBERS", keys.queues)], lambda replies: sorted(map(_text, replies[0])))


def metas(keys: Keys, queues: Sequence[str]) -> Lookup[list[dict[str, str]]]:
    """Counters and the paused flag of each queue."""

    def decode(replies: list[Any]) -> list[dict[str, str]]:
        return [_hash(flat) for flat in replies]

    return Lookup([("HGETALL", keys.meta(queue)) for queue in queues], decode)


def worker_ids(keys: Keys) -> Lookup[list[str]]:
    """The uuids of workers that beat lately, oldest beat first; nobody may have pruned the others."""

    def decode(replies: list[Any]) -> list[str]:
        (seconds, microseconds), flat = replies
        now = int(seconds) * 1000 + int(microseconds) // 1000
        return [_text(id) for id, ends in zip(flat[::2], flat[1::2], strict=True) if float(ends) > now]

    return Lookup([("TIME",), ("ZRANGE", keys.workers, 0, -1, "WITHSCORES")], decode)


def workers(keys: Keys, ids: Sequence[str]) -> Lookup[list[dict[str, str]]]:
    """The records of workers; an empty dict for one that is gone."""
    return Lookup(
        [("HGETALL", keys.worker(id)) for id in ids], lambda replies: [_hash(flat) for flat in replies]
    )


def score(keys: Keys, registry: str, queue: str, job_id: str) -> Lookup[float | None]:
    """A job's score in a registry: its due time, deadline or removal time, unix ms."""
    command = ("ZSCORE", keys.registry(registry, queue), job_id)
    return Lookup([command], lambda replies: None if replies[0] is None else float(replies[0]))


def is_listed(keys: Keys, registry: str, queue: str, job_id: str) -> Lookup[bool]:
    """Whether a registry lists a job whose removal time, by Redis' clock, has not passed."""
    is_timed = registry in ("finished", "failed", "canceled", "expired")

    def decode(replies: list[Any]) -> bool:
        found, (seconds, microseconds) = replies
        now = int(seconds) * 1000 + int(microseconds) // 1000
        return found is not None and (not is_timed or float(found) > now)

    return Lookup([("ZSCORE", keys.registry(registry, queue), job_id), ("TIME",)], decode)


def _hash(flat: list[bytes]) -> dict[str, str]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(raw: bytes) -> str:
    """What others wrote must not stop us: bytes that are no UTF-8 are replaced."""
    return raw.decode("utf-8", "replace")
