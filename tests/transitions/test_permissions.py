"""A user who may not run a command that a script tries to read a record with, or may not tell anybody.

The error must not pass for a damaged record: a claim would drop the job from its queue, a beat or a
settlement would call the lease lost. Who waits for a job reads again every 2 s, told or not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aqueue._core.outcome import Finished, Lease
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from aqueue.connection import Namespace, open_namespace
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


#: Verb -> the call that tells somebody, on a channel that is closed to the user.
TOLD: dict[str, Callable[[Stage, Lease], Operation[Any]]] = {
    "cancel": lambda stage, lease: operations.cancel(stage.keys, "waiting", nonce="n"),
    "ask": lambda stage, lease: operations.cancel(stage.keys, "started", nonce="n"),
    "finish": lambda stage, lease: operations.settle(stage.keys, [(lease, Finished(b"r"))]),
    "finish without a trace": lambda stage, lease: operations.settle(
        stage.keys, [(Lease(lease.record.evolve(result_ttl=0), lease.token), Finished(b"r"))]
    ),
    "delete": lambda stage, lease: operations.delete(stage.keys, ["waiting"], nonce="n"),
    "prune": lambda stage, lease: operations.prune(stage.keys, ["default"]),
}


@asynccontextmanager
async def limited(stage: Stage, server: Server, *rights: str) -> AsyncGenerator[Namespace]:
    """The same namespace as a user with fewer rights sees it."""
    name = stage.keys.namespace
    stage.db.execute_command("ACL", "SETUSER", name, "on", ">secret", "~*", "+@all", *rights)
    space = open_namespace(server.url.replace("//", f"//{name}:secret@"), namespace=name)
    space.connector.permitted.update(script.sha for script in operations._SCRIPTS.values())  # as if asked
    yield dataclasses.replace(stage.space, connector=space.connector)
    await space.connector.aclose()
    stage.db.execute_command("ACL", "DELUSER", name)


async def populate(stage: Stage) -> Lease:
    await stage.failed("failed", failure_ttl=1)
    lease = await stage.start("started")
    await stage.add("waiting")
    await stage.age(60)
    await stage.extend()
    stage.db.delete(stage.keys.hold)
    return lease


@pytest.mark.parametrize("verb", CALLS)
async def test_a_read_that_is_forbidden_changes_nothing(stage: Stage, server: Server, verb: str) -> None:
    command, call = CALLS[verb]
    lease = await populate(stage)
    before = stage.digest()

    async with limited(stage, server, "&*", f"-{command}") as space:
        with pytest.raises(QueueUnavailable, match="lacks permissions") as caught:
            await space.client.run(call(stage, lease))
    assert caught.value.refused
    assert stage.digest() == before


@pytest.mark.parametrize("verb", TOLD)
async def test_a_channel_that_is_closed_undoes_nothing(stage: Stage, server: Server, verb: str) -> None:
    call = TOLD[verb](stage, await populate(stage))
    before = stage.digest()

    async with limited(stage, server, "resetchannels") as space:
        first = await space.client.run(call)
        assert stage.digest() != before
        if verb != "prune":
            assert await space.client.run(call) == first
