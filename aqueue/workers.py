"""What goes on in a namespace: its workers, and how many jobs each of its queues has. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aqueue._core.clock import to_instant
from aqueue._redis import lookups, operations
from aqueue._redis.operations import Lookup
from aqueue.connection import Connection, Namespace, open_namespace

#: What `queue_counts` counts, and the registry behind each.
COUNTED = {
    "queued": "queue",
    "scheduled": "scheduled",
    "started": "started",
    "finished": "finished",
    "failed": "failed",
    "deferred": "deferred",
    "canceled": "canceled",
    "expired": "expired",
}

#: Queues per call.
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker, as it described itself at its last beat. Escape its texts before showing them."""

    #: Random, new for each worker.
    id: str
    #: A label for people; workers may share it.
    name: str
    hostname: str
    pid: int
    #: "idle", "busy" or "stopping".
    state: str
    #: Names of its queues, in the order in which it serves them.
    queues: Sequence[str]
    #: Jobs that it may run at the same time, and those that it runs.
    concurrency: int
    running: int
    #: Outcomes since it was made.
    finished: int
    failed: int
    started_at: datetime | None
    #: Seconds since its last beat, by Redis' clock.
    heartbeat_age: float
    #: Seconds without a beat after which its jobs go to others.
    lease: float

    @property
    def is_silent(self) -> bool:
        """Whether it has not beaten for so long that its jobs go to others: it was killed, or is cut off."""
        return self.heartbeat_age > self.lease


async def all_workers(
    connection: Connection | None = None, *, namespace: str | None = None
) -> list[WorkerInfo]:
    """The workers of the namespace that beat lately, by name. Two round trips.

    A worker that ends takes its record along; that of one that was killed stays for four leases.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    ids = await space.client.read(lookups.worker_ids(space.keys))
    found = await space.client.read(_dated(lookups.workers(space.keys, ids)))
    workers = [_info(id, fields, found[0]) for id, fields in zip(ids, found[1], strict=True) if fields]
    return sorted(workers, key=lambda worker: (worker.name, worker.id))


def _dated(lookup: Lookup[list[dict[str, str]]]) -> Lookup[tuple[int, list[dict[str, str]]]]:
    """Read Redis' clock along with the records, unix ms."""

    def decode(replies: list[Any]) -> tuple[int, list[dict[str, str]]]:
        seconds, microseconds = replies[0]
        return int(seconds) * 1000 + int(microseconds) // 1000, lookup.decode(replies[1:])

    return Lookup([("TIME",), *lookup.commands], decode)


def _info(worker_id: str, fields: dict[str, str], now: int) -> WorkerInfo:
    def number(name: str) -> int:
        text = fields.get(name, "")
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 16 else 0

    return WorkerInfo(
        id=worker_id,
        name=fields.get("name") or worker_id,
        hostname=fields.get("hostname", ""),
        pid=number("pid"),
        state=fields.get("state", ""),
        queues=fields.get("queues", "").split(),
        concurrency=number("concurrency"),
        running=number("running"),
        finished=number("finished"),
        failed=number("failed"),
        started_at=to_instant(number("started_at")) if "started_at" in fields else None,
        heartbeat_age=max(0, now - number("heartbeat")) / 1000,
        lease=number("lease") / 1000,
    )


async def queue_counts(
    connection: Connection | None = None, *, namespace: str | None = None, names: Sequence[str] | None = None
) -> dict[str, dict[str, int]]:
    """How many jobs each queue has: name -> {"queued": 1, "scheduled": 0, ...}; see `COUNTED`.

    One round trip per 100 queues, and one for their names unless these are given.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    names = await _queue_names(space) if names is None else names
    counts: dict[str, dict[str, int]] = {}
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        pairs = [(registry, name) for name in chunk for registry in COUNTED.values()]
        answers = await space.client.run(operations.count(space.keys, pairs))
        numbers = iter(answers)
        counts.update({name: {status: next(numbers) for status in COUNTED} for name in chunk})
    return counts


async def paused_queues(
    connection: Connection | None = None, *, namespace: str | None = None, names: Sequence[str] | None = None
) -> set[str]:
    """Names of the queues that are paused, of those given or of all. One round trip, or two.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    names = await _queue_names(space) if names is None else names
    metas = await space.client.read(lookups.metas(space.keys, names))
    return {name for name, meta in zip(names, metas, strict=True) if meta.get("paused") == "1"}


async def _queue_names(space: Namespace) -> list[str]:
    return await space.client.read(lookups.queue_names(space.keys))
