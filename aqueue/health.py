"""Facts about a server and a namespace from which `aqueue doctor` tells what is wrong. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqueue._redis import checkup, inspection
from aqueue._redis.checkup import ServerFacts as ServerFacts
from aqueue._redis.checkup import Unknown as Unknown
from aqueue.connection import Connection, open_namespace
from aqueue.workers import WorkerInfo, all_workers, paused_queues, queue_counts

#: Leases that ended so long ago should have been taken back by some worker.
_PATIENCE_MS = 10_000


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What was found out about a queue."""

    #: Jobs that a worker could start now, those whose due time has passed among them.
    waiting: int
    #: Jobs whose lease ended long ago, and which nobody has taken back.
    abandoned: int
    is_paused: bool


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What was found out about a namespace."""

    queues: Mapping[str, QueueFacts]
    workers: Sequence[WorkerInfo]


async def server_facts(connection: Connection | None = None, *, namespace: str | None = None) -> ServerFacts:
    """Ask the server about itself and about this user's permissions. Some 15 round trips.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    return await checkup.server_facts(space.client, space.connector.source, space.keys)


async def namespace_facts(
    connection: Connection | None = None, *, namespace: str | None = None
) -> NamespaceFacts:
    """Look at queues and workers. Some 10 round trips.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    space = open_namespace(connection, namespace=namespace)
    counts = await queue_counts(connection, namespace=namespace)
    names = list(counts)
    paused = await paused_queues(connection, namespace=namespace, names=names)
    now = await space.client.read(inspection.time_ms())
    due = await space.client.read(inspection.overdue(space.keys, "scheduled", names, now))
    ended = await space.client.read(inspection.overdue(space.keys, "started", names, now - _PATIENCE_MS))
    queues = {
        name: QueueFacts(counts[name]["queued"] + due[at], ended[at], name in paused)
        for at, name in enumerate(names)
    }
    return NamespaceFacts(queues, await all_workers(connection, namespace=namespace))
