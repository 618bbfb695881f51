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
    #: "idle", "busy" or "stopping"; "stalled" when its event loop is blocked. See `is_silent`, too.
    state: str
    #: Names of its queues, in the order in which it serves them.
    queues: Sequence[str]
    #: Jobs that it may run at the same time, and those that it runs.
    concurrency: int
    running: int
    #: Ids of the jobs that it runs: the 100 oldest.
    current_job_ids: Sequence[str]
    #: Jobs that were given up, but whose code still runs.
    zombies: int
    #: Outcomes since it was made.
    successful_job_count: int
    failed_job_count: int
    #: How long its jobs have run, in seconds; those that ran at the same time are added up.
    total_working_time: float
    #: When it was made, and when it beat last, by its own clock and by Redis'.
    birth_date: datetime | None
    last_heartbeat: datetime | None
    #: Seconds since then.
    heartbeat_age: float
    #: Seconds without a beat after which its jobs go to others.
    lease: float

    @property
    def is_silent(self) -> bool:
        """Whether it has not beaten for so long that its jobs go to others: it was killed, or is cut off.

        Nobody has changed the other facts since; the record goes four leases after the last beat.
        """
        return self.heartbeat_age > self.lease


async def all_workers(
    connection: Connection | None = None, *, namespace: str | None = None
) -> list[WorkerInfo]:
    """The workers of the namespace that beat lately, by name. Two round trips.

    A worker that ends takes its record along; that of one that was killed stays for four leases.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    return await workers_in(open_namespace(connection, namespace=namespace))


async def workers_in(space: Namespace) -> list[WorkerInfo]:
    """`all_workers` of a namespace that is open already."""
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

    def instant(name: str) -> datetime | None:
        return to_instant(number(name)) if number(name) else None

    return WorkerInfo(
        id=worker_id,
        name=fields.get("name") or worker_id,
        hostname=fields.get("hostname", ""),
        pid=number("pid"),
        state=fields.get("state", ""),
        queues=fields.get("queues", "").split(),
        concurrency=number("concurrency"),
        running=number("running"),
        current_job_ids=fields.get("jobs", "").split(),
        zombies=number("zombies"),
        successful_job_count=number("finished"),
        failed_job_count=number("failed"),
        total_working_time=number("worked") / 1000,
        birth_date=instant("started_at"),
        last_heartbeat=instant("heartbeat"),
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
