"""A foreign key of another type in place of one of ours: the script raises before its first write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue._core.outcome import Finished, Lease, Retried
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from tests.transitions.stage import BOOM, HOUR, Stage, new_job

Call = Callable[[Stage, Lease], Operation[Any]]


def _claim(stage: Stage, lease: Lease) -> Operation[Any]:
    queues = ["default", "other"]
    return operations.claim(
        stage.keys, queues, worker_id="w1", name="w1", nonce="new", limit=10, lease_ms=30_000
    )


NEW = [new_job("new"), new_job("failed", ttl=9), new_job("later", delay=9)]
#: verb -> the call, and the keys that it reads before it writes.
CALLS: dict[str, tuple[Call, str]] = {
    "enqueue": (
        lambda stage, lease: operations.enqueue(stage.keys, "default", NEW),
        "job:new job:failed queue:default scheduled:default expiring:default failed:default meta:default "
        "wake:default queues",
    ),
    "claim": (
        _claim,
        "queue:default queue:other started:other scheduled:other expiring:other expired:other meta:other "
        "wake:other worker:w1",
    ),
    "promote": (
        lambda stage, lease: operations.promote(stage.keys, ["default", "other"]),
        "scheduled:default scheduled:other queue:other expiring:other meta:other wake:other",
    ),
    "extend": (
        lambda stage, lease: operations.extend(
            stage.keys, [lease, lease], worker_id="worker1", lease_ms=30_000, facts={}
        ),
        "started:default heartbeat hold worker:worker1 workers",
    ),
    "finish": (
        lambda stage, lease: operations.settle(stage.keys, [(lease, Finished(b"r"))]),
        "started:default finished:default meta:default",
    ),
    "fail": (
        lambda stage, lease: operations.settle(stage.keys, [(lease, BOOM)]),
        "started:default failed:default canceled:default meta:default",
    ),
    "fail, then finish": (
        lambda stage, lease: operations.settle(stage.keys, [(lease, BOOM), (lease, Finished(b"r"))]),
        "started:default failed:default finished:default",
    ),
    "retry": (
        lambda stage, lease: operations.settle(stage.keys, [(lease, Retried(BOOM, 9))]),
        "started:default queue:default scheduled:default meta:default wake:default "
        "history:started",
    ),
    "recover": (
        lambda stage, lease: operations.recover(stage.keys, ["default", "other"], lease_ms=30_000),
        "started:default started:other queue:other scheduled:other failed:other canceled:other meta:other "
        "wake:other heartbeat hold",
    ),
    "cancel": (
        lambda stage, lease: operations.cancel(stage.keys, "saved", nonce="n"),
        "job:saved queue:default scheduled:default deferred:default expiring:default canceled:default "
        "failed:default meta:default queues reply:n",
    ),
    "quarantine": (
        lambda stage, lease: operations.cancel(stage.keys, "a", nonce="n", mode="quarantine"),
        "job:a queue:default expiring:default failed:default meta:default reply:n",
    ),
    "stop": (
        lambda stage, lease: operations.cancel(stage.keys, "started", nonce="n", mode="stop"),
        "job:started reply:n",
    ),
    "requeue": (
        lambda stage, lease: operations.requeue(stage.keys, ["failed", "ended"], nonce="n"),
        "job:failed job:ended queue:other expiring:other failed:default canceled:default expired:default "
        "finished:other meta:other wake:other "
        "history:failed history:ended result:failed result:ended queues reply:n",
    ),
    "delete": (
        lambda stage, lease: operations.delete(
            stage.keys, ["saved", "a", "failed", "ended"], nonce="n"
        ),
        "job:a job:failed job:ended queue:default scheduled:default deferred:default expiring:default "
        "failed:default canceled:default expired:default finished:other reply:n",
    ),
    "prune": (
        lambda stage, lease: operations.prune(stage.keys, ["default", "other"]),
        "expiring:default expiring:other queue:default finished:other failed:other canceled:other "
        "expired:other meta:other workers",
    ),
    "amend": (lambda stage, lease: operations.amend(stage.keys, "a", b"meta"), "job:a"),
    "pause": (
        lambda stage, lease: operations.pause(stage.keys, "default", paused=True),
        "queue:default meta:default wake:default queues",
    ),
    "resume": (
        lambda stage, lease: operations.pause(stage.keys, "default", paused=False),
        "queue:default meta:default wake:default queues",
    ),
    "drop": (
        lambda stage, lease: operations.drop(stage.keys, "empty"),
        "queues queue:empty started:empty finished:empty failed:empty canceled:empty expired:empty "
        "scheduled:empty deferred:empty",
    ),
    "leave": (lambda stage, lease: operations.leave(stage.keys, "worker1"), "worker:worker1 workers"),
    "count": (
        lambda stage, lease: operations.count(stage.keys, [("queue", "default")]),
        "queue:default expiring:default",
    ),
    "list": (
        lambda stage, lease: operations.list_ids(stage.keys, "queue", "default", offset=0, limit=9),
        "queue:default expiring:default",
    ),
    "position": (
        lambda stage, lease: operations.position(stage.keys, "default", "a"),
        "queue:default expiring:default",
    ),
}  # fmt: skip
CASES = [(verb, key) for verb, (_, keys) in CALLS.items() for key in keys.split()]


async def populate(stage: Stage) -> Lease:
    """Something to do for every script; all of it overdue."""
    await stage.failed("failed")
    await stage.finished("ended", b"r", queue="other")
    lease = await stage.start("started")
    await stage.add("saved", mode="save")
    for queue in ("default", "other"):
        suffix = "" if queue == "default" else "2"
        await stage.add("a" + suffix, "b" + suffix, queue=queue, ttl=1000)
        await stage.add("due" + suffix, queue=queue, delay=1, ttl=HOUR)
    await stage.age(60)
    await stage.extend()
    stage.db.delete(stage.keys.hold)
    return lease


@pytest.mark.parametrize(("verb", "key"), CASES, ids=[f"{verb}-{key}" for verb, key in CASES])
async def test_a_script_that_meets_a_foreign_key_changes_nothing(stage: Stage, verb: str, key: str) -> None:
    lease = await populate(stage)
    foreign = stage.keys.prefix + key
    stage.db.delete(foreign)
    if key in {"heartbeat", "hold", "reply:n"} or key.startswith("result:"):
        stage.db.rpush(foreign, "foreign")
    else:
        stage.db.set(foreign, "foreign")
    before = stage.digest()

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await stage.run(CALLS[verb][0](stage, lease))
    assert stage.digest() == before
