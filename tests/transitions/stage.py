"""A namespace on a real server: the verbs as these tests use them, and what is stored."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any, cast

import pytest

from aqueue._core.names import new_nonce
from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.record import JobRecord
from aqueue._core.status import REGISTRY_OF, JobStatus
from aqueue._redis import operations
from aqueue._redis.operations import Extended, NewJob, Recovered
from aqueue.connection import Namespace
from tests import support
from tests.servers import Server

#: Every registry of a queue; an id is in at most one of them.
REGISTRIES = sorted(set(REGISTRY_OF.values()))
BOOM = Failed("ValueError", "boom", "Traceback ...\nValueError: boom")
HOUR = 3_600_000
DAY = 24 * HOUR

#: One outcome of each kind.
OUTCOMES: list[Outcome] = [
    Finished(b"r"),
    BOOM,
    Retried(BOOM, 0),
    Retried(BOOM, 99),
    Released(),
    Stopped(),
    Canceled(),
]
NAMES = ["finish", "fail", "retry", "retry later", "release", "stop", "cancel"]
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES, ids=NAMES)


def new_job(
    job_id: str,
    *,
    nonce: str | None = None,
    mode: str = "",
    priority: int = 0,
    delay: int = 0,
    ttl: int | None = None,
    **fields: str | bytes | int,
) -> NewJob:
    """A job on its way into a queue; times in ms."""
    stored: dict[str, str | bytes | int] = {"function": "tests.tasks.add", "data": b"arguments", **fields}
    stored |= {"ttl": ttl} if ttl is not None else {}
    stored |= {"priority": priority} if priority else {}
    flat = [part for pair in stored.items() for part in pair]
    return NewJob(job_id, new_nonce() if nonce is None else nonce, flat, mode, priority, delay, ttl)


class Stage:
    """The namespace of one test."""

    def __init__(self, space: Namespace, server: Server) -> None:
        self.space = space
        self.keys = space.keys
        #: A plain synchronous client, to look and to damage.
        self.db: Any = server.client()

    # -- verbs

    async def run(self, operation: operations.Operation[Any]) -> Any:
        return await self.space.client.run(operation)

    async def enqueue(self, *jobs: NewJob, queue: str = "default") -> list[str]:
        """The script's word for each job."""
        stored = await self.space.client.run(operations.enqueue(self.keys, queue, jobs))
        return list(stored.words)

    async def add(self, *job_ids: str, queue: str = "default", **options: Any) -> None:
        """Enqueue these ids, all with the same options."""
        await self.enqueue(*(new_job(job_id, **options) for job_id in job_ids), queue=queue)

    async def claim(self, *queues: str, **options: Any) -> list[Lease]:
        return list((await support.claim(self.space, *queues, **options)).leases)

    async def start(
        self, job_id: str, *, queue: str = "default", lease_ms: int = 30_000, **options: Any
    ) -> Lease:
        """Enqueue a job and claim it; nothing else may wait in its queue."""
        await self.add(job_id, queue=queue, **options)
        (lease,) = await self.claim(queue, lease_ms=lease_ms)
        return lease

    async def settle(self, lease: Lease, outcome: Outcome) -> str:
        (word,) = await self.run(operations.settle(self.keys, [(lease, outcome)]))
        return str(word)

    async def finished(self, job_id: str, result: bytes | None = None, **options: Any) -> Lease:
        """Enqueue, claim and finish a job."""
        lease = await self.start(job_id, **options)
        await self.settle(lease, Finished(result))
        return lease

    async def failed(self, job_id: str, **options: Any) -> Lease:
        """Enqueue, claim and fail a job."""
        lease = await self.start(job_id, **options)
        await self.settle(lease, BOOM)
        return lease

    async def extend(self, *leases: Lease, worker_id: str = "worker1", lease_ms: int = 30_000) -> Extended:
        return await self.space.client.run(
            operations.extend(
                self.keys, leases, worker_id=worker_id, lease_ms=lease_ms, facts={"host": "here"}
            )
        )

    async def recover(self, *queues: str, lease_ms: int = 30_000, limit: int = 500) -> Recovered:
        """Recover while somebody beats, so that silence does not hold it back."""
        await support.beat(self.space, lease_ms=lease_ms)
        self.db.delete(self.keys.hold)
        return await self.space.client.run(
            operations.recover(self.keys, queues or ("default",), lease_ms=lease_ms, limit=limit)
        )

    async def lose(self, seconds: float = 60) -> Recovered:
        """Let every lease of the default queue pass, and recover."""
        await support.age(self.space, seconds=seconds)
        return await self.recover()

    async def cancel(self, job_id: str, mode: str = "cancel", nonce: str | None = None, **error: str) -> str:
        nonce = nonce or new_nonce()
        return await self.space.client.run(
            operations.cancel(self.keys, job_id, nonce=nonce, mode=mode, **error)
        )

    async def requeue(self, *job_ids: str, nonce: str | None = None, at_front: bool = False) -> list[str]:
        nonce = nonce or new_nonce()
        return await self.space.client.run(
            operations.requeue(self.keys, job_ids, nonce=nonce, at_front=at_front)
        )

    async def delete(self, *job_ids: str, nonce: str | None = None, registry: str = "") -> list[str]:
        nonce = nonce or new_nonce()
        return await self.space.client.run(
            operations.delete(self.keys, job_ids, nonce=nonce, registry=registry)
        )

    async def prune(self, *queues: str, limit: int = 500) -> bool:
        return await self.space.client.run(operations.prune(self.keys, queues or ("default",), limit=limit))

    async def promote(self, *queues: str) -> bool:
        return await self.space.client.run(operations.promote(self.keys, queues or ("default",)))

    async def pause(self, *, paused: bool = True, queue: str = "default") -> None:
        await self.run(operations.pause(self.keys, queue, paused=paused))

    async def age(self, seconds: float) -> None:
        await support.age(self.space, seconds=seconds)

    async def make(self, status: JobStatus | None, job_id: str = "a") -> Lease | None:
        """Bring a job into this status with real verbs; its lease where it has or had one."""
        match status:
            case None:
                return None
            case JobStatus.CREATED | JobStatus.QUEUED | JobStatus.SCHEDULED:
                mode = "save" if status is JobStatus.CREATED else ""
                delay = HOUR if status is JobStatus.SCHEDULED else 0
                await self.add(job_id, mode=mode, delay=delay, ttl=DAY)
            case JobStatus.DEFERRED:  # nothing produces these yet
                self.db.hset(self.keys.job(job_id), mapping={"status": "deferred", "queue": "default"})
                self.db.zadd(self.keys.registry("deferred", "default"), {job_id: self.now()})
            case JobStatus.EXPIRED:
                await self.add(job_id, ttl=1000)
                await self.age(60)
                await self.prune()
            case _:
                lease = await self.start(job_id, ttl=DAY)
                outcomes: dict[JobStatus, Outcome] = {
                    JobStatus.FINISHED: Finished(b"42"), JobStatus.FAILED: BOOM,
                    JobStatus.STOPPED: Stopped(), JobStatus.CANCELED: Canceled(),
                }  # fmt: skip
                if status in outcomes:
                    await self.settle(lease, outcomes[status])
                return lease
        return None

    # -- what is stored

    def now(self) -> int:
        """The server's time, unix ms."""
        seconds, micros = self.db.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def job(self, job_id: str) -> JobRecord:
        return JobRecord(job_id, self.db.hgetall(self.keys.job(job_id)))

    def status(self, job_id: str) -> str | None:
        raw = self.db.hget(self.keys.job(job_id), "status")
        return None if raw is None else str(raw.decode())

    def where(self, job_id: str, queue: str = "default") -> list[str]:
        """The registries that list the id."""
        return [name for name in REGISTRIES if self.score(name, job_id, queue) is not None]

    def ids(self, registry: str, queue: str = "default") -> list[str]:
        return [member.decode() for member in self.db.zrange(self.keys.registry(registry, queue), 0, -1)]

    def score(self, registry: str, job_id: str, queue: str = "default") -> float | None:
        score: float | None = self.db.zscore(self.keys.registry(registry, queue), job_id)
        return score

    def left(self, registry: str, job_id: str, queue: str = "default") -> int:
        """Milliseconds until the time that a registry keeps for the id."""
        score = self.score(registry, job_id, queue)
        assert score is not None
        return int(score) - self.now()

    def ttl(self, key: str) -> int:
        """Milliseconds until the key goes; -1: never, -2: there is none."""
        return int(self.db.pttl(key))

    def meta(self, field: str, queue: str = "default") -> str | None:
        raw = self.db.hget(self.keys.meta(queue), field)
        return None if raw is None else str(raw.decode())

    def tokens(self, queue: str = "default") -> int:
        return int(self.db.llen(self.keys.wake(queue)))

    def drain(self, queue: str = "default") -> None:
        """An idle worker took the tokens."""
        self.db.delete(self.keys.wake(queue))

    def listen(self, channel: str) -> Callable[[], str | None]:
        """Subscribe; the function returned gives the next message."""
        heard: Any = self.db.pubsub()
        heard.subscribe(channel)
        assert heard.get_message(timeout=5) is not None

        def hear() -> str | None:
            message = heard.get_message(timeout=1)
            heard.close()
            return None if message is None else str(message["data"].decode())

        return hear

    def digest(self, *skip: str) -> dict[str, tuple[str, Any, bool]]:
        """Every key of the namespace with its type, value, and whether it has a TTL.

        Args:
            skip: Patterns of names to leave out, without the prefix.
        """
        prefix: str = self.keys.prefix
        names = [
            raw.decode().removeprefix(prefix) for raw in self.db.scan_iter(match=prefix + "*", count=1000)
        ]
        names = sorted(name for name in names if not any(fnmatch.fnmatchcase(name, only) for only in skip))
        looks = self.db.pipeline(transaction=False)
        for name in names:
            looks.type(prefix + name)
            looks.pttl(prefix + name)
        seen = looks.execute()
        kinds = [kind.decode() for kind in seen[::2]]
        values = self.db.pipeline(transaction=False)
        for name, kind in zip(names, kinds, strict=True):
            _read(values, prefix + name, kind)
        raw: list[Any] = values.execute()
        held = [sorted(cast(set[bytes], value)) if isinstance(value, set) else value for value in raw]
        lives = [left >= 0 for left in seen[1::2]]
        return dict(zip(names, zip(kinds, held, lives, strict=True), strict=True))


def _read(client: Any, key: str, kind: str) -> None:
    match kind:
        case "string":
            client.get(key)
        case "hash":
            client.hgetall(key)
        case "zset":
            client.zrange(key, 0, -1, withscores=True)
        case "list":
            client.lrange(key, 0, -1)
        case _:
            client.smembers(key)
