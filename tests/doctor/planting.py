"""Damage of every kind: a job in some status, then the commands of whoever damages its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aqueue import Queue, Retry
from aqueue._core.outcome import Canceled, Finished, Outcome, Retried, Stopped
from aqueue.connection import Namespace
from aqueue.jobs import Job
from aqueue.mending import Harm, examine
from tests import tasks
from tests.servers import Server
from tests.transitions.mirror import Holdings, check_partition
from tests.transitions.stage import BOOM, DAY, HOUR, Stage
from tests.worker.hands import burst

Command = tuple[Any, ...]
#: An entry of a history that says nothing.
ENTRY = "0:" * 7
FAR = 2**52
DONE, FAILED = "finished", "failed"
#: Status -> how the execution of a job ended.
OUTCOMES: dict[str, Outcome] = {
    "finished": Finished(b"result"), "failed": BOOM, "stopped": Stopped(), "canceled": Canceled(),
    "retried": Retried(BOOM, 0), "retried later": Retried(BOOM, HOUR), "gone": Finished(None),
}  # fmt: skip


@dataclass(frozen=True)
class Plant:
    """One damage."""

    kind: str
    #: What job "a" is before; "" for none.
    status: str
    #: Names of keys without the prefix.
    commands: list[Command]
    #: Kinds that come with it.
    also: str = ""
    #: What "a" is when a worker has worked off the queue; "" where none is to.
    ends: str = ""
    #: Options of the enqueue.
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def kinds(self) -> set[str]:
        return {self.kind, *self.also.split()}

    def __str__(self) -> str:
        return "-".join([self.kind, self.status or "no job", *(f"{c[0]} {c[1]}" for c in self.commands)])


class Ground:
    """Where damage is planted: a namespace alone on its server."""

    def __init__(self, queue: Queue, server: Server) -> None:
        self.queue = queue
        self.space: Namespace = queue.space
        self.url = server.url
        self.stage = Stage(self.space, server)

    async def plant(self, plant: Plant) -> None:
        """A healthy neighbour, "b", and job "a", damaged."""
        await self.make(plant.status, **plant.options)
        await self.queue.enqueue(tasks.add, 2, 3, job_id="b")
        self.run(plant.commands)

    async def examine(self, *, repair: bool = False) -> dict[str, Harm]:
        """What is damaged, by its kind; nothing may be left by a repair."""
        seen = await examine(self.url, namespace=self.space.keys.namespace, repair=repair)
        assert seen.left == 0
        return seen.harms

    def check(self) -> None:
        """Each job lies in the one registry that its status names, and nothing dangles."""
        for aside in self.stage.db.keys(self.space.keys.prefix + "aside:*"):
            self.stage.db.delete(aside)
        found = Holdings({}, {})
        for key, (kind, value, has_ttl) in self.stage.digest().items():
            if kind == "hash":
                value = {name.decode(): part.decode("utf-8", "replace") for name, part in value.items()}
            elif kind == "zset":
                value = {member.decode("utf-8", "replace"): score for member, score in value}
            found.values[key] = value
            if has_ttl:
                found.until[key] = 0
        check_partition(found, self.stage.now())

    async def mend(self, plant: Plant) -> None:
        """Plant damage, find it without a change, mend it, find nothing any more, and let a worker go on."""
        await self.plant(plant)
        before = self.stage.digest()
        seen = set(await self.examine())
        assert seen == plant.kinds, f"{plant}: found {seen}"
        assert self.stage.digest() == before
        assert plant.kinds <= set(await self.examine(repair=True))
        assert await self.examine(repair=True) == {}
        self.check()
        if plant.ends:
            await burst(self.queue)
            assert self.stage.job("b").status == DONE
            assert self.stage.job("a").status == plant.ends
            assert await self.examine() == {}
            self.check()

    def run(self, commands: list[Command]) -> None:
        prefix = self.space.keys.prefix
        for name, key, *rest in commands:
            whole = prefix.encode() + key if isinstance(key, bytes) else prefix + key
            self.stage.db.execute_command(name, whole, *rest)

    async def make(self, status: str, job_id: str = "a", **options: Any) -> None:
        """A job in this status, by what programs and workers do."""
        stage = self.stage
        match status:
            case "":
                return
            case "beating":
                await stage.extend()
            case "created":
                name = self.space.keys.namespace
                await Job.create(tasks.add, (1, 2), id=job_id, connection=self.url, namespace=name).save()
            case "queued":
                await self.queue.enqueue(tasks.add, 1, 2, job_id=job_id, **options)
            case "scheduled":
                await self.queue.enqueue_in("1h", tasks.add, 1, 2, job_id=job_id, **options)
            case "deferred":  # nothing produces these yet
                stage.db.hset(
                    stage.keys.job(job_id),
                    mapping={
                        "status": "deferred",
                        "queue": "default",
                        "function": "f",
                        "created_at": stage.now(),
                    },
                )
                stage.db.zadd(stage.keys.registry("deferred", "default"), {job_id: stage.now()})
                stage.db.sadd(stage.keys.queues, "default")
                stage.db.hset(stage.keys.meta("default"), "seq", 0)
            case "expired":
                await self.queue.enqueue(tasks.add, 1, 2, job_id=job_id, ttl=1)
                await stage.age(2)
                await stage.prune()
            case _:
                if status == "gone":
                    options["result_ttl"] = 0
                if status.startswith("retried"):
                    options["retry"] = Retry(max=1)
                await self.queue.enqueue(tasks.add, 1, 2, job_id=job_id, **options)
                [lease] = await stage.claim()
                if status in OUTCOMES:
                    assert await stage.settle(lease, OUTCOMES[status]) == "ok"


def _unlist(registry: str) -> list[Command]:
    return [("ZREM", f"{registry}:default", "a")]


def _score(registry: str, score: str | int) -> list[Command]:
    return [("ZADD", f"{registry}:default", score, "a")]


def _other_type(key: str) -> list[Command]:
    return [("DEL", key), ("SET", key, "foreign")]


def _field(name: str, value: str) -> list[Command]:
    return [("HSET", "job:a", name, value)]


PLANTS = [
    # what others wrote
    Plant("foreign_type", "", [("RPUSH", "job:a", "x")]),
    Plant("foreign_type", "queued", _other_type("job:a"), also="dangling"),
    Plant("foreign_type", "queued", _other_type("queue:default"), also="unfiled_queued", ends=DONE),
    Plant(
        "foreign_type", "queued", [("DEL", "queue:default"), ("RPUSH", "queue:default", "a", "b")],
        also="unfiled_queued", ends=DONE,
    ),
    Plant("foreign_type", "started", _other_type("started:default"), also="unfiled_started"),
    Plant("foreign_type", "scheduled", _other_type("scheduled:default"), also="unfiled_scheduled", ends=DONE),
    Plant("foreign_type", "failed", _other_type("failed:default"), also="unfiled_ended"),
    Plant("foreign_type", "queued", _other_type("expiring:default"), also="no_deadline", options={"ttl": 60},
          ends=DONE),
    Plant("foreign_type", "queued", _other_type("meta:default"), also="counter_behind", ends=DONE),
    Plant("foreign_type", "queued", _other_type("queues"), also="queue_unlisted", ends=DONE),
    Plant("foreign_type", "queued", _other_type("wake:default"), ends=DONE),
    Plant("foreign_type", "queued", _other_type("worker:worker1"), ends=DONE),
    Plant("foreign_type", "queued", _other_type("workers"), ends=DONE),
    Plant("foreign_type", "beating", _other_type("workers")),
    Plant("foreign_type", "queued", [("RPUSH", "heartbeat", "x")], ends=DONE),
    Plant("foreign_type", "queued", [("RPUSH", "hold", "x")], ends=DONE),
    Plant("foreign_type", "queued", [("RPUSH", "schema", "x")], ends=DONE),
    Plant("foreign_type", "finished", [("DEL", "result:a"), ("RPUSH", "result:a", "x")]),
    Plant("foreign_type", "retried", _other_type("history:a"), ends=DONE),
    Plant("foreign_type", "queued", [("RPUSH", "reply:n", "x")], ends=DONE),
    Plant("foreign_record", "", [("HSET", "job:a", "colour", "red")]),
    Plant("foreign_record", "queued", [("DEL", "job:a"), ("HSET", "job:a", "lost", 1)], also="dangling"),
    Plant("foreign_name", "queued", [("HSET", "job:a b", "status", "queued", "queue", "default")],
          ends=DONE),
    Plant("foreign_name", "queued", [("SET", "result:a b", "x")], ends=DONE),
    Plant("foreign_name", "queued", [("ZADD", "failed:a b", 1, "a"), ("HSET", "meta:a b", "failed", "x")],
          ends=DONE),
    *(Plant("foreign_name", "queued", [("HSET", key, "queue", "default")], ends=DONE)
      for key in ("meta:", "worker:a b", "meta:" + "x" * 65, "job:" + "x" * 129)),
    Plant("foreign_name", "queued", [("RPUSH", "history:{a}", "x")], ends=DONE),
    # records
    *(Plant("status_missing", status, [("HDEL", "job:a", "status")], ends=FAILED)
      for status in ("queued", "started", "retried")),
    Plant("status_missing", "finished", [("HDEL", "job:a", "status")], ends=FAILED),
    Plant("status_missing", "queued", [("HDEL", "job:a", "status"), *_unlist("queue")], ends=FAILED),
    Plant("status_unknown", "queued", _field("status", "archived"), ends=FAILED, options={"ttl": 60}),
    Plant("status_missing", "started", [("HDEL", "job:a", "status"), *_field("token", "9" * 30)],
          ends=FAILED),
    Plant("status_unknown", "canceled", _field("status", "\x1b[31mred"), ends=FAILED),
    Plant("no_queue", "queued", [("HDEL", "job:a", "queue")], ends=DONE),
    Plant("no_queue", "queued", _field("queue", "a b"), ends=DONE),
    Plant("no_queue", "finished", [("HDEL", "job:a", "queue")], ends=DONE),
    Plant("no_queue", "queued", [("HDEL", "job:a", "queue"), *_unlist("queue")], ends=FAILED),
    Plant("no_queue", "created", [("HDEL", "job:a", "queue")], ends=FAILED),
    *(Plant("no_queue", status, [("HDEL", "job:a", "queue"), *_unlist(status)], ends=status)
      for status in (DONE, FAILED)),
    *(Plant("number", "queued", _field(name, "x"), ends=FAILED, options={"ttl": 60})
      for name in ("priority", "timeout", "ttl", "failure_ttl", "max_lost")),
    *(Plant("number", "queued", _field(name, value), ends=DONE)
      for name, value in (("lost", "x"), ("fence", "1e5"), ("enqueued_at", "nan"), ("attempts", "9" * 20))),
    Plant("number", "queued", _field("priority", "5000"), ends=FAILED),
    Plant("number", "started", _field("max_lost", "inf")),
    *(Plant("number", status, _field("failure_ttl", "abc"), ends=status) for status in (DONE, FAILED)),
    # registries
    Plant("unfiled_queued", "queued", _unlist("queue"), ends=DONE),
    Plant("unfiled_queued", "retried", _unlist("queue"), ends=DONE),
    Plant("unfiled_queued", "queued", [*_unlist("queue"), ("HSET", "meta:default", "paused", "0")],
          ends=DONE, options={"priority": 5, "at_front": True}),
    Plant("unfiled_started", "started", _unlist("started")),
    Plant("unfiled_scheduled", "scheduled", _unlist("scheduled"), ends=DONE),
    Plant("unfiled_scheduled", "retried later", _unlist("scheduled"), ends=DONE),
    Plant("unfiled_deferred", "deferred", _unlist("deferred")),
    *(Plant("unfiled_ended", status, _unlist("failed" if status == "stopped" else status))
      for status in ("finished", "failed", "stopped", "canceled", "expired")),
    Plant("unfiled_ended", "finished", _unlist("finished"), options={"result_ttl": -1}),
    *(Plant("dangling", status, [("DEL", "job:a")])
      for status in ("queued", "started", "scheduled", "deferred", "failed", "canceled")),
    Plant("dangling", "finished", [("DEL", "job:a")], also="result_orphan"),
    Plant("misfiled", "queued", _score("started", FAR), ends=DONE),
    Plant("misfiled", "queued", _score("scheduled", FAR), ends=DONE),
    Plant("misfiled", "started", _score("queue", 1)),
    Plant("misfiled", "finished", _score("queue", 1), ends=DONE),
    Plant("misfiled", "failed", _score("canceled", FAR), ends=FAILED),
    Plant("misfiled", "created", _score("queue", 1)),
    Plant("misfiled", "gone", _score("finished", FAR)),
    Plant("misfiled", "queued", [("ZADD", "queue:other", 1, "a")], also="queue_unlisted", ends=DONE),
    Plant("misfiled", "queued", _field("status", "finished"), also="unfiled_ended ttl_ended", ends=DONE),
    Plant("misfiled", "queued", _field("status", "started"), also="unfiled_started"),
    Plant("misfiled", "started", _field("status", "queued"), also="unfiled_queued", ends=DONE),
    # scores
    *(Plant("score_queued", "queued", _score("queue", score), ends=DONE)
      for score in ("inf", "-inf", 2**60, -(2**60))),
    Plant("score_started", "started", _score("started", "inf")),
    Plant("score_started", "started", _score("started", "-inf")),
    Plant("score_started", "started", _score("started", 2**44)),
    Plant("score_scheduled", "scheduled", _score("scheduled", "inf"), ends=DONE),
    Plant("score_scheduled", "scheduled", _score("scheduled", "-inf"), ends=DONE),
    Plant("score_deferred", "deferred", _score("deferred", "inf")),
    *(Plant("score_ended", "failed", _score("failed", score)) for score in ("inf", "-inf", FAR)),
    Plant("score_ended", "finished", _score("finished", 1), options={"result_ttl": -1}),
    Plant("counter", "queued", [("HSET", "meta:default", "seq", "x")], also="counter_behind", ends=DONE),
    Plant("counter", "queued", [("HSET", "meta:default", "seq", "9" * 18)], also="counter_behind", ends=DONE),
    Plant("counter", "finished", [("HSET", "meta:default", "finished", "many")]),
    Plant("counter_behind", "queued", [("HSET", "meta:default", "seq", 0)], ends=DONE),
    Plant("counter_behind", "queued", [("DEL", "meta:default")], ends=DONE),
    Plant("counter_behind", "queued", [("HDEL", "meta:default", "front")], ends=DONE,
          options={"at_front": True}),
    # the ttl of waiting jobs
    Plant("no_deadline", "queued", _unlist("expiring"), ends=DONE, options={"ttl": 60}),
    Plant("stray_deadline", "queued", _score("expiring", 1), ends=DONE),
    Plant("stray_deadline", "finished", _score("expiring", FAR), ends=DONE, options={"ttl": 60}),
    Plant("stray_deadline", "scheduled", _score("expiring", 1), options={"ttl": 60}),
    Plant("stray_deadline", "", [("ZADD", "expiring:default", FAR, "ghost")]),
    *(Plant("score_deadline", "queued", _score("expiring", score), ends=DONE, options={"ttl": 60})
      for score in ("inf", "-inf")),
    # TTLs of keys
    *(Plant("ttl_live", status, [("PEXPIRE", "job:a", HOUR)])
      for status in ("queued", "started", "scheduled")),
    *(Plant("ttl_ended", status, [("PERSIST", "job:a")]) for status in ("finished", "failed", "expired")),
    Plant("ttl_ended", "failed", [("PEXPIRE", "job:a", HOUR)]),
    Plant("ttl_ended", "finished", [("PEXPIRE", "job:a", DAY)], options={"result_ttl": -1}),
    Plant("ttl_saved", "created", [("PERSIST", "job:a")]),
    Plant("ttl_gone", "gone", [("PERSIST", "job:a")]),
    Plant("ttl_history", "retried", [("PEXPIRE", "history:a", HOUR)], ends=DONE),
    Plant("ttl_history", "failed", [("RPUSH", "history:a", ENTRY)]),
    Plant("result_ttl", "finished", [("PERSIST", "result:a")]),
    Plant("reply_ttl", "queued", [("SET", "reply:n", "ok")]),
    # what belongs to jobs
    Plant("result_orphan", "", [("SET", "result:a", "x")]),
    Plant("result_orphan", "queued", [("SET", "result:a", "x")], ends=DONE),
    Plant("result_orphan", "gone", [("SET", "result:a", "x")]),
    *(Plant("history_orphan", status, [("RPUSH", "history:a", ENTRY)]) for status in ("", "gone")),
    Plant("history_long", "retried", [("RPUSH", "history:a", *[ENTRY] * 20)], ends=DONE),
    # queues
    Plant("queue_unlisted", "queued", [("SREM", "queues", "default")], ends=DONE),
    Plant("queue_name", "queued", [("SADD", "queues", "a b", b"\xff")], ends=DONE),
    Plant("wake_long", "queued", [("RPUSH", "wake:default", *"abcdefgh")], ends=DONE),
    *(Plant("wake_paused", "queued", [*tokens, ("HSET", "meta:default", "paused", "1")])
      for tokens in ([], [("RPUSH", "wake:default", *"abc")])),
    # workers
    Plant("worker_unlisted", "beating", [("ZREM", "workers", "worker1")]),
    Plant("worker_gone", "beating", [("DEL", "worker:worker1")]),
    Plant("worker_ttl", "beating", [("PERSIST", "worker:worker1")]),
    Plant("worker_score", "beating", [("ZADD", "workers", "inf", "worker1")]),
    *(Plant("clock", "queued", [("SET", key, value)], ends=DONE)
      for key in ("heartbeat", "hold") for value in ("x", FAR, "nan")),
]  # fmt: skip
