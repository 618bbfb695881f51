"""A user who may not run a command that a script tries to read a record with.

The error must not pass for a damaged record: a claim would drop the job from its queue, a beat or a
settlement would call the lease lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from aqueue._core.outcome import Finished, Lease
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from aqueue.connection import open_namespace
from aqueue.errors import QueueUnavailable
from tests.servers import Server
from tests.transitions.stage import Stage

#: verb -> the command that it tries, and the call.
CALLS: dict[str, tuple[str, Callable[[Stage, Lease], Operation[Any]]]] = {
    "claim": (
        "hgetall",
        lambda stage, lease: operations.claim(
            stage.keys, ["default"], worker_id="w1", name="w1", nonce="new", limit=10, lease_ms=30_000
        ),
    ),
    "extend": (
        "hmget",
        lambda stage, lease: operations.extend(
            stage.keys, [lease], worker_id="worker1", lease_ms=30_000, facts={}
        ),
    ),
    "settle": (
        "hmget",
        lambda stage, lease: operations.settle(stage.keys, [(lease, Finished(b"r"))]),
    ),
    "recover": (
        "hmget",
        lambda stage, lease: operations.recover(stage.keys, ["default"], lease_ms=30_000),
    ),
    "prune": ("hmget", lambda stage, lease: operations.prune(stage.keys, ["default"])),
}


@pytest.mark.parametrize("verb", CALLS)
async def test_a_read_that_is_forbidden_changes_nothing(
    stage: Stage, server: Server, namespace: str, verb: str
) -> None:
    command, call = CALLS[verb]
    await stage.failed("failed", failure_ttl=1)
    lease = await stage.start("started")
    await stage.add("waiting")
    await stage.age(60)
    await stage.extend()
    stage.db.delete(stage.keys.hold)
    user = f"user-{namespace}"
    stage.db.execute_command("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all", f"-{command}")
    space = open_namespace(server.url.replace("//", f"//{user}:secret@"), namespace=namespace)
    limited = dataclasses.replace(stage.space, connector=space.connector)
    before = stage.digest()

    with pytest.raises(QueueUnavailable, match="lacks permissions") as caught:
        await limited.client.run(call(stage, lease))
    assert caught.value.refused
    assert stage.digest() == before
    await space.connector.aclose()
    stage.db.execute_command("ACL", "DELUSER", user)
