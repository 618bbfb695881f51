"""Look at jobs without running or decoding anything of theirs: lists of any registry, and one job whole.

What stands in Redis may have been written by anybody: records may be damaged, and their texts are to be
escaped before they are shown.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aqueue._core.names import check_job_id, is_job_id
from aqueue._core.record import JobRecord
from aqueue._core.status import REGISTRY_OF
from aqueue._redis import inspection, lookups, operations
from aqueue._redis.inspection import Row as Row
from aqueue._redis.lookups import PastExecution as PastExecution
from aqueue.connection import Connection, Namespace, ServerError, open_namespace
from aqueue.errors import NoSuchJobError
from aqueue.registry import list_ids

#: Queues that are read at the same time.
_AT_ONCE = 50
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Listing:
    """A part of what the registries of some queues list."""

    rows: Sequence[Row]
    #: How many they list.
    total: int
    #: Redis' time, unix ms.
    now_ms: int


def fact(record: JobRecord, name: str) -> Any:
    """A field of the record as the value it stands for; None where it is damaged."""
    try:
        return getattr(record, name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


async def list_jobs(
    registry: str,
    connection: Connection | None = None,
    *,
    namespace: str | None = None,
    queues: Sequence[str] | None = None,
    offset: int = 0,
    limit: int = 50,
    newest: bool = False,
) -> Listing:
    """The jobs in one registry of the queues, by default of all; those of several queues are merged by time.

    About three round trips, and two for each queue that has such jobs, of which 50 are read at a time.

    Args:
        registry: "queue", "scheduled", "started" and so on.
        newest: From the end of the registry.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    names = await space.client.read(lookups.queue_names(space.keys)) if queues is None else list(queues)
    counts: list[int] = []
    for start in range(0, len(names), _AT_ONCE):
        pairs = [(registry, name) for name in names[start : start + _AT_ONCE]]
        answers = await space.client.run(operations.count(space.keys, pairs))
        counts += answers
    filled = [name for name, count in zip(names, counts, strict=True) if count]
    alone = len(filled) == 1
    first, most = (offset, limit) if alone else (0, offset + limit)
    lists: list[list[Row]] = []
    for start in range(0, len(filled), _AT_ONCE):
        batch = filled[start : start + _AT_ONCE]
        lists += await asyncio.gather(
            *(_queue_rows(space, registry, name, first, most, newest) for name in batch)
        )
    merged = list(heapq.merge(*lists, key=_order(registry), reverse=newest))
    now = await space.client.read(inspection.time_ms())
    return Listing(merged if alone else merged[offset : offset + limit], sum(counts), now)


async def _queue_rows(
    space: Namespace, registry: str, queue: str, offset: int, limit: int, newest: bool
) -> list[Row]:
    ids = await list_ids(space, registry, queue, offset=offset, limit=limit, newest=newest)
    found: dict[str, Row] = {}
    legal = [job_id for job_id in ids if is_job_id(job_id)]
    for start in range(0, len(legal), _CHUNK):
        for row in await _rows(space, registry, queue, legal[start : start + _CHUNK]):
            found[row.id] = row
    return [found.get(job_id) or Row(job_id, queue) for job_id in ids]


async def _rows(space: Namespace, registry: str, queue: str, ids: Sequence[str]) -> list[Row]:
    """Rows; one that Redis cannot read, a foreign key in its place, does not hide the others."""
    try:
        return await space.client.read(inspection.rows(space.keys, registry, queue, ids))
    except ServerError:
        if len(ids) == 1:
            return [Row(ids[0], queue)]
        half = len(ids) // 2
        parts = [await _rows(space, registry, queue, part) for part in (ids[:half], ids[half:])]
        return [row for part in parts for row in part]


def _order(registry: str) -> Callable[[Row], float]:
    """What the lists of several queues are merged by: scores of waiting jobs are places within one queue."""
    if registry != "queue":
        return lambda row: row.score or 0
    return lambda row: (row.record and fact(row.record, "enqueued_at")) or 0


@dataclass(frozen=True, slots=True)
class Inspection:
    """A job whole, nothing of it decoded."""

    record: JobRecord
    #: Bytes of the encoded result; None when there is none.
    result_bytes: int | None
    #: Executions that were followed by others, newest first; None: their record is damaged.
    earlier: Sequence[PastExecution] | None
    #: Its score in its registry; see `Row`.
    score: float | None
    #: How many waiting jobs are before it; None when it does not wait.
    position: int | None
    #: Redis' time, unix ms.
    now_ms: int


async def inspect_job(
    job_id: str, connection: Connection | None = None, *, namespace: str | None = None
) -> Inspection:
    """All about one job. Four round trips.

    Raises:
        NoSuchJobError: There is none of this id.
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    keys = space.keys
    snapshot, now = await space.client.read(inspection.dated_snapshot(keys, check_job_id(job_id)))
    if snapshot is None or snapshot.record.gone:
        raise NoSuchJobError(job_id)
    record = snapshot.record
    registry = REGISTRY_OF.get(fact(record, "status"))
    score = position = None
    if registry is not None:
        score = await space.client.read(lookups.score(keys, registry, record.queue, job_id))
    if registry == "queue":
        position = await space.client.run(operations.position(keys, record.queue, job_id))
    size = None if snapshot.result is None else len(snapshot.result)
    return Inspection(record, size, await _earlier(space, job_id), score, position, now)


async def _earlier(space: Namespace, job_id: str) -> list[PastExecution] | None:
    try:
        return await space.client.read(lookups.history(space.keys, job_id))
    except (ValueError, ServerError):
        return None
