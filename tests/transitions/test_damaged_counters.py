"""A queue's counter that is no number starts anew: no call fails on it, and none of its changes is lost."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue._core.outcome import Finished, Released
from aqueue._redis import operations
from aqueue.errors import QueueUnavailable
from tests.servers import Server
from tests.transitions.stage import Stage, new_job
from tests.transitions.test_foreign_types import CALLS, Call, populate
from tests.transitions.test_permissions import limited

COUNTERS = ("seq", "front", "finished", "failed", "stopped", "canceled", "expired", "lost")
HIGHEST = str(2**63 - 1)

#: verb -> a call that counts, and what it counts.
COUNTING: dict[str, tuple[Call, str]] = {
    "enqueue": (
        lambda stage, lease: operations.enqueue(
            stage.keys,
            "default",
            [new_job("new"), new_job("failed", mode="front"), new_job("later", delay=9)],
        ),
        "seq front",
    ),
    "claim": (CALLS["claim"][0], "seq expired"),
    "promote": (CALLS["promote"][0], "seq"),
    "finish": (CALLS["finish"][0], "finished"),
    "finish, kept nowhere": (
        lambda stage, lease: operations.settle(
            stage.keys, [(type(lease)(lease.record.evolve(result_ttl=0), lease.token), Finished(b"r"))]
        ),
        "finished",
    ),
    "fail": (CALLS["fail"][0], "failed"),
    "release": (lambda stage, lease: operations.settle(stage.keys, [(lease, Released())]), "front"),
    "cancel": (lambda stage, lease: operations.cancel(stage.keys, "a", nonce="n"), "canceled"),
    "quarantine": (CALLS["quarantine"][0], "failed"),
    "requeue": (lambda stage, lease: operations.requeue(stage.keys, ["failed"], nonce="n"), "seq"),
    "prune": (lambda stage, lease: operations.prune(stage.keys, ["default"]), "expired"),
    "recover": (
        lambda stage, lease: operations.recover(stage.keys, ["default"], lease_ms=30_000),
        "seq lost",
    ),
}


def _damage(stage: Stage, value: str) -> None:
    stage.db.hset(stage.keys.meta("default"), mapping=dict.fromkeys(COUNTERS, value))


@pytest.mark.parametrize("value", ["junk", "", HIGHEST])
@pytest.mark.parametrize("verb", COUNTING)
async def test_a_call_that_counts_does_all_it_does(stage: Stage, verb: str, value: str) -> None:
    call, counted = COUNTING[verb]
    lease = await populate(stage)
    if verb == "recover":  # what was at the end of its lease is not, any more
        stage.db.hdel(stage.keys.job("started"), "place")
        stage.db.zadd(stage.keys.registry("started", "default"), {"started": 1})
    _damage(stage, value)
    before = stage.digest("meta:*")

    await stage.run(call(stage, lease))

    held: dict[str, Any] = {name: stage.meta(name) for name in COUNTERS}
    assert {name for name in COUNTERS if held[name] != value} == set(counted.split())
    assert all(0 <= int(held[name]) <= 4 for name in counted.split())
    assert stage.digest("meta:*") != before
    listed = [job_id for name in ("queue", "scheduled", "started") for job_id in stage.ids(name)]
    assert len(listed) == len({*listed})


@pytest.mark.parametrize("verb", COUNTING)
async def test_a_counter_that_may_not_be_counted_is_no_damage(
    stage: Stage, server: Server, verb: str
) -> None:
    call, _ = COUNTING[verb]
    lease = await populate(stage)
    before = {name: stage.meta(name) for name in COUNTERS}

    async with limited(stage, server, "&*", "-hincrby") as space:
        with pytest.raises(QueueUnavailable, match="lacks permissions"):
            await space.client.run(call(stage, lease))

    assert {name: stage.meta(name) for name in COUNTERS} == before
