"""One function per verb: arguments -> `Operation`, the value that a client runs. Pure; no I/O here.

`decode` turns the script's words into a value or raises the public error. What reads without a
script is a `Lookup`: commands that travel in one pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aqueue._core.durability import LOCAL
from aqueue._core.options import DAY_MS, DEFAULT_FAILURE_TTL_MS, DEFAULT_MAX_LOST
from aqueue._core.outcome import Lease, Outcome
from aqueue._redis.calls import Lookup as Lookup
from aqueue._redis.calls import Operation as Operation
from aqueue._redis.formats import claimed_leases, settlement, worded, words
from aqueue._redis.keys import Keys
from aqueue._redis.scripts import Argument, load
from aqueue.errors import InvalidJobOperation, LeaseLost, NoSuchJobError

T = TypeVar("T")

#: Jobs per call of enqueue, claim, settle and requeue, and bytes of arguments or results.
BATCH = 100
BATCH_BYTES = 4 * 1024 * 1024
#: Jobs per call of extend, recover, prune and delete.
BULK = 500
#: Ids per page of a list.
PAGE = 5_000

_SCRIPTS = {
    name: load(name)
    for name in (
        "enqueue", "promote", "claim", "extend", "settle", "recover", "cancel", "requeue", "delete",
        "prune", "amend", "pause", "drop", "count", "list", "position", "leave",
    )
}  # fmt: skip
_KEPT = {"failure_ttl_ms": DEFAULT_FAILURE_TTL_MS, "day_ms": DAY_MS}


@dataclass(slots=True)  # not frozen, which costs a microsecond for each job
class NewJob:
    """A job on its way into a queue; never changed in place."""

    id: str
    #: Identifies this enqueue: a repeated call with the same nonce changes nothing. "": the id does that.
    nonce: str
    #: The record's fields and values, one after the other.
    fields: Sequence[Argument]
    #: "", "front", or "save" to store it without enqueuing it.
    mode: str = ""
    priority: int = 0
    delay_ms: int = 0
    ttl_ms: int | None = None
    #: Bytes of its fields, about.
    size: int = 0
    durability: str = LOCAL

    @property
    def how(self) -> str:
        """What is asked besides the usual, as the script reads it."""
        if not (self.nonce or self.mode or self.priority or self.delay_ms or self.ttl_ms is not None):
            return ""
        ttl = "" if self.ttl_ms is None else self.ttl_ms
        return f"{self.nonce} {self.mode} {self.priority} {self.delay_ms} {ttl}"

    @property
    def meant(self) -> str:
        """The status it is to have."""
        return "created" if self.mode == "save" else "scheduled" if self.delay_ms > 0 else "queued"


@dataclass(frozen=True, slots=True)
class Stored:
    """What an enqueue call answered."""

    #: Redis' time of the call, unix ms.
    at_ms: int
    #: A word per job; see `enqueue.lua`.
    words: Sequence[str]


def enqueue(keys: Keys, queue: str, jobs: Sequence[NewJob]) -> Operation[Stored]:
    """Store at most 100 jobs of one queue and one durability: -> queued, scheduled or created."""
    more: list[Argument] = []
    for job in jobs:
        fields = (*job.fields, "nonce", job.nonce) if job.nonce else job.fields
        more += (job.id, job.how, len(fields), *fields)
    script = _SCRIPTS["enqueue"]
    bound = script.bind(
        *more,
        queue_key=keys.registry("queue", queue),
        scheduled_key=keys.registry("scheduled", queue),
        expiring_key=keys.registry("expiring", queue),
        meta_key=keys.meta(queue),
        queues_key=keys.queues,
        wake_key=keys.wake(queue),
        prefix=keys.prefix,
        queue=queue,
        day_ms=DAY_MS,
    )

    def decode(reply: list[Any]) -> Stored:
        at_ms, *others = reply
        return Stored(at_ms, worded([job.meant for job in jobs], others))

    return Operation(script, *bound, decode, jobs[0].durability)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim brought."""

    leases: Sequence[Lease]
    #: Milliseconds until the earliest scheduled job is due; None for none.
    next_ms: int | None
    #: Claimable jobs are left.
    more: bool


def claim(
    keys: Keys,
    queues: Sequence[str],
    *,
    worker_id: str,
    name: str,
    nonce: str,
    limit: int,
    lease_ms: int,
    alive_ms: int = 0,
) -> Operation[Claimed]:
    """Take up to `limit` (at most 100) waiting jobs under a lease, from the queues in order.

    Args:
        alive_ms: Take nothing if the worker's last beat is older; 0: as old as it likes.
    """
    script = _SCRIPTS["claim"]
    stored_name = "" if name == worker_id else name
    bound = script.bind(
        *queues,
        worker_key=keys.worker(worker_id),
        prefix=keys.prefix,
        worker_id=worker_id,
        nonce=nonce,
        limit=limit,
        lease_ms=lease_ms,
        max_bytes=BATCH_BYTES,
        worker_name=stored_name,
        alive_ms=alive_ms,
        **_KEPT,
    )

    def decode(reply: list[Any]) -> Claimed:
        next_ms, more, now = reply[:3]
        return Claimed(
            claimed_leases(reply[3:], now, stored_name), next_ms if next_ms >= 0 else None, more == b"1"
        )

    return Operation(script, *bound, decode)


def settle(keys: Keys, ended: Sequence[tuple[Lease, Outcome]]) -> Operation[list[str]]:
    """Record at most 100 outcomes; a word for each: "ok", "lost", or "canceled" or "stopped"."""
    more: list[Argument] = []
    for lease, outcome in ended:
        more += (lease.job_id, lease.token, *settlement(lease, outcome))
    script = _SCRIPTS["settle"]
    bound = script.bind(*more, prefix=keys.prefix, **_KEPT)
    return Operation(script, *bound, lambda others: worded(["ok"] * len(ended), others))


@dataclass(frozen=True, slots=True)
class Extended:
    """What a beat brought back."""

    #: Jobs whose lease is lost.
    lost: Sequence[str]
    #: Job id -> "cancel" or "stop", asked of running jobs.
    asked: dict[str, str]


def extend(
    keys: Keys, leases: Sequence[Lease], *, worker_id: str, lease_ms: int, facts: dict[str, str | int]
) -> Operation[Extended]:
    """Renew at most 500 leases and the worker's record, and beat."""
    more: list[Argument] = [part for fact in facts.items() for part in fact]
    for lease in leases:
        more += (lease.record.queue, lease.job_id, lease.token)
    script = _SCRIPTS["extend"]
    bound = script.bind(
        *more,
        heartbeat_key=keys.heartbeat,
        hold_key=keys.hold,
        worker_key=keys.worker(worker_id),
        workers_key=keys.workers,
        prefix=keys.prefix,
        worker_id=worker_id,
        lease_ms=lease_ms,
        fact_count=2 * len(facts),
    )
    return Operation(script, *bound, _extended)


def _extended(reply: list[Any]) -> Extended:
    lost, asked = words(reply[0]), words(reply[1])
    return Extended(lost, dict(zip(asked[::2], asked[1::2], strict=True)))


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recover call did."""

    #: Job id -> its status now.
    jobs: dict[str, str]
    #: There may be more.
    full: bool = False
    #: Nothing is recovered for now: Redis was away, not the workers.
    hold: bool = False


def recover(keys: Keys, queues: Sequence[str], *, lease_ms: int, limit: int = BATCH) -> Operation[Recovered]:
    """Take jobs back whose lease has expired. 500 of them would keep Redis for ten milliseconds."""
    script = _SCRIPTS["recover"]
    bound = script.bind(
        *queues,
        heartbeat_key=keys.heartbeat,
        hold_key=keys.hold,
        prefix=keys.prefix,
        lease_ms=lease_ms,
        limit=limit,
        max_lost=DEFAULT_MAX_LOST,
        **_KEPT,
    )
    return Operation(script, *bound, _recovered)


def _recovered(reply: list[Any]) -> Recovered:
    word, *pairs = words(reply)
    jobs = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return Recovered(jobs, full=word == "full", hold=word == "hold")


def promote(keys: Keys, queues: Sequence[str]) -> Operation[bool]:
    """Queue the scheduled jobs that are due; True: call again."""
    script = _SCRIPTS["promote"]
    return Operation(script, *script.bind(*queues, prefix=keys.prefix), lambda count: int(count) >= BATCH)


def prune(keys: Keys, queues: Sequence[str], *, limit: int = BULK) -> Operation[bool]:
    """Remove ended jobs past their time, expire waiting ones past their ttl; True: call again."""
    script = _SCRIPTS["prune"]
    bound = script.bind(*queues, workers_key=keys.workers, prefix=keys.prefix, limit=limit, **_KEPT)
    return Operation(script, *bound, lambda reply: reply[2] == b"1")


def cancel(
    keys: Keys,
    job_id: str,
    *,
    nonce: str,
    mode: str = "cancel",
    error_type: str = "",
    error_message: str = "",
) -> Operation[str]:
    """End a waiting job (cancel, quarantine) or ask its worker to (cancel, stop); the status it has now."""
    script = _SCRIPTS["cancel"]
    bound = script.bind(
        job_key=keys.job(job_id),
        reply_key=keys.reply(nonce),
        prefix=keys.prefix,
        job_id=job_id,
        mode=mode,
        error_type=error_type,
        error_message=error_message,
        **_KEPT,
    )

    def decode(reply: Any) -> str:
        word, *rest = words(reply)
        if word == "ok":
            return rest[0]
        raise check_word(job_id, mode, rest[0] if rest else word)

    return Operation(script, *bound, decode)


def check_word(job_id: str, verb: str, word: str) -> NoSuchJobError | InvalidJobOperation:
    """The error for a word that is not "ok": "missing", or the status that does not allow the verb."""
    if word == "missing":
        return NoSuchJobError(job_id)
    return InvalidJobOperation(job_id, verb=verb, status=word)


def requeue(
    keys: Keys, job_ids: Sequence[str], *, nonce: str, at_front: bool = False
) -> Operation[list[str]]:
    """Enqueue at most 100 ended jobs again; "ok" for each, "missing", or the status that forbids it."""
    script = _SCRIPTS["requeue"]
    bound = script.bind(
        *job_ids,
        reply_key=keys.reply(nonce),
        queues_key=keys.queues,
        prefix=keys.prefix,
        at_front="1" if at_front else "",
    )
    return Operation(script, *bound, words)


def delete(keys: Keys, job_ids: Sequence[str], *, nonce: str, registry: str = "") -> Operation[list[str]]:
    """Remove at most 500 jobs; "ok" for each, "missing", or the status that does not allow it.

    Args:
        registry: Remove only what lies in this registry now.
    """
    script = _SCRIPTS["delete"]
    bound = {"reply_key": keys.reply(nonce), "prefix": keys.prefix, "from": registry}
    return Operation(script, *script.bind(*job_ids, **bound), words)


def amend(keys: Keys, job_id: str, meta: bytes, *, token: str = "") -> Operation[None]:
    """Write a job's meta; with a token, only while the lease holds."""
    script = _SCRIPTS["amend"]

    def decode(reply: Any) -> None:
        word = words(reply)[0]
        if word == "missing":
            raise NoSuchJobError(job_id)
        if word == "lost":
            raise LeaseLost(job_id)

    return Operation(script, *script.bind(job_key=keys.job(job_id), token=token, meta=meta), decode)


def pause(keys: Keys, queue: str, *, paused: bool) -> Operation[None]:
    """Let claims pass over the queue, or serve it again."""
    script = _SCRIPTS["pause"]
    bound = script.bind(
        queue_key=keys.registry("queue", queue),
        meta_key=keys.meta(queue),
        wake_key=keys.wake(queue),
        queues_key=keys.queues,
        queue=queue,
        paused="1" if paused else "",
    )
    return Operation(script, *bound, lambda reply: None)


def drop(keys: Keys, queue: str) -> Operation[bool]:
    """Forget a queue of which nothing is left; False when something is."""
    script = _SCRIPTS["drop"]
    bound = script.bind(queues_key=keys.queues, prefix=keys.prefix, queue=queue)
    return Operation(script, *bound, lambda reply: reply[0] == b"ok")


def leave(keys: Keys, worker_id: str) -> Operation[None]:
    """Remove a worker's record at its end."""
    script = _SCRIPTS["leave"]
    bound = script.bind(worker_key=keys.worker(worker_id), workers_key=keys.workers, worker_id=worker_id)
    return Operation(script, *bound, lambda reply: None)


def count(keys: Keys, pairs: Sequence[tuple[str, str]]) -> Operation[list[int]]:
    """How many jobs each (registry, queue) lists."""
    script = _SCRIPTS["count"]
    flat = [name for pair in pairs for name in pair]
    return Operation(script, *script.bind(*flat, prefix=keys.prefix), lambda reply: [int(n) for n in reply])


def list_ids(
    keys: Keys, registry: str, queue: str, *, offset: int, limit: int, newest: bool = False
) -> Operation[list[str]]:
    """A page of the ids in a registry, in order."""
    script = _SCRIPTS["list"]
    bound = script.bind(
        prefix=keys.prefix,
        registry=registry,
        queue=queue,
        offset=offset,
        limit=min(limit, PAGE),
        newest="1" if newest else "",
    )
    return Operation(script, *bound, words)


def position(keys: Keys, queue: str, job_id: str) -> Operation[int | None]:
    """How many jobs are before this one; None when it does not wait in this queue."""
    script = _SCRIPTS["position"]
    bound = script.bind(
        queue_key=keys.registry("queue", queue),
        expiring_key=keys.registry("expiring", queue),
        job_id=job_id,
    )
    return Operation(script, *bound, lambda reply: None if reply[0] == b"missing" else int(reply[0]))
