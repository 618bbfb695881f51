"""Every key of a namespace: the data model.

All keys of a namespace begin with one hash tag, `{aqueue}:`, so that each script is legal on
a Redis Cluster. After the prefix:

    job:<id>          hash    the record; only fields that differ from their default (see `_core.record`)
    result:<id>       string  the encoded return value, with its own TTL; absent when None
    history:<id>      list    earlier executions, newest first, at most 9; written when a job runs again
    queue:<q>         zset    waiting ids; score = -priority * 2^46 + seq (at the front: minus a counter)
    scheduled:<q>     zset    ids; score = due time, unix ms
    deferred:<q>      zset    ids; score = creation, unix ms
    started:<q>       zset    ids; score = lease deadline, unix ms: membership is the lease
    finished:<q> failed:<q> canceled:<q> expired:<q>
                      zset    ids; score = when they are to be removed, unix ms, or +inf
    expiring:<q>      zset    waiting ids that carry a ttl; score = deadline, unix ms
    meta:<q>          hash    seq, front (counters), paused, totals (finished, failed, ..., lost)
    queues            set     queue names
    wake:<q>          list    tokens for BLPOP; content meaningless, at most one
    worker:<uuid>     hash    a worker's record with its lease, claim (the last claim's nonce) and claimed
                              (its ids); with a TTL, an hour longer than `workers` has it
    workers           zset    worker uuids; score = when the worker is forgotten, unix ms
    heartbeat         string  last beat of any worker, unix ms
    hold              string  no recovery before, unix ms
    reply:<nonce>     string  the answer to a cancel, requeue or delete, for a minute: a replay gets it again
    schema            string  the layout, once it is another than `SCHEMA`; absent until then. Workers that do
                              not know it do not start
    absent            never there
    aside:<ms>:<key>  any     what stood in place of one of ours; `aqueue doctor --repair` moved it away

Channels: `done:<id>` when a job has ended or is gone, `commands:<uuid>` for a worker. Live keys carry no
TTL; ended ones do (with a day of slack: prune removes them first), or are kept for ever on request.
This module alone makes names, so that a namespace can be split into partitions later.
"""

from __future__ import annotations

from aqueue._core.names import check_name
from aqueue.errors import SettingsError

DEFAULT_NAMESPACE = "aqueue"

#: A key that never exists, which every call of a script names. A cluster that is moving the slot key by key
#: refuses what names one that is not there (ASK, TRYAGAIN): no script begins where others are gone already.
ABSENT = "absent"

#: The layout that this version knows.
SCHEMA = 1


class Keys:
    """The key names of one namespace."""

    __slots__ = ("absent", "heartbeat", "hold", "namespace", "prefix", "queues", "schema", "workers")

    def __init__(self, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.namespace: str = check_name(namespace, "namespace")
        self.prefix: str = f"{{{namespace}}}:"
        self.absent: str = f"{self.prefix}{ABSENT}"
        self.queues: str = f"{self.prefix}queues"
        self.workers: str = f"{self.prefix}workers"
        self.heartbeat: str = f"{self.prefix}heartbeat"
        self.hold: str = f"{self.prefix}hold"
        self.schema: str = f"{self.prefix}schema"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keys) and other.namespace == self.namespace

    def __hash__(self) -> int:
        return hash(self.namespace)

    def job(self, job_id: str) -> str:
        """The record."""
        return f"{self.prefix}job:{job_id}"

    def result(self, job_id: str) -> str:
        """The encoded return value."""
        return f"{self.prefix}result:{job_id}"

    def history(self, job_id: str) -> str:
        """Earlier executions."""
        return f"{self.prefix}history:{job_id}"

    def registry(self, registry: str, queue: str) -> str:
        """A queue's ids of one kind: "queue", "scheduled", "started", "failed" ..., or "expiring"."""
        return f"{self.prefix}{registry}:{queue}"

    def meta(self, queue: str) -> str:
        """Counters and the paused flag of a queue."""
        return f"{self.prefix}meta:{queue}"

    def wake(self, queue: str) -> str:
        """Wake tokens of a queue."""
        return f"{self.prefix}wake:{queue}"

    def worker(self, worker_id: str) -> str:
        """A worker's record."""
        return f"{self.prefix}worker:{worker_id}"

    def reply(self, nonce: str) -> str:
        """The remembered answer to one call."""
        return f"{self.prefix}reply:{nonce}"

    def done_channel(self, job_id: str) -> str:
        """Where the end of a job is told."""
        return f"{self.prefix}done:{job_id}"

    def commands_channel(self, worker_id: str) -> str:
        """Where a worker is asked to cancel or stop a job."""
        return f"{self.prefix}commands:{worker_id}"


def check_layout(keys: Keys, found: str | None) -> None:
    """Raise SettingsError where the key `schema` has something: another layout than ours."""
    if found not in (None, str(SCHEMA)):
        raise SettingsError(
            f"the data of namespace {keys.namespace} has layout {found!a:.40}, this version knows {SCHEMA}: "
            "a newer aqueue wrote it, use that one; nothing was touched"
        )
