"""T50 to T53: the sentinels name another master, while the first is dead, alive, back or cut off."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from aqueue import NotReplicated, Queue, QueueUnavailable
from tests.chaos import jobs
from tests.chaos.checker import Checker
from tests.chaos.load import impatience, is_served, load, nothing_lives, staff
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import LOST, REDIS_FAULTS, STARVED
from tests.sentinels import SERVICE, SentinelSet, wait_for
from tests.servers import Server
from tests.support import wait_until

#: The user of programs and workers: a master can be closed to replicas and sentinels, who have the default.
_USER = ("--user", "app", "on", ">secret", "~*", "&*", "+@all")


@dataclasses.dataclass
class Failover:
    """Servers and sentinels, and a stage whose queue is behind them."""

    servers: SentinelSet
    stage: Stage

    async def during(self, change: Callable[[Server], Any], *, is_alive: bool = False) -> Server:
        """Let the master change under load; the old one, which nobody uses when it is alive."""

        def move() -> Server:
            with self.servers.moving() as old:
                change(old)
            return old

        await asyncio.sleep(self.stage.dice.uniform(0.2, 0.8))
        self.stage.seen.add(REDIS_FAULTS)
        began = time.monotonic()
        old = await asyncio.to_thread(move)
        if is_alive:
            await wait_until(lambda: is_deserted(old), description="nobody is left at the old master")
        await is_served(self.stage)
        self.stage.seen.add("away_ms", round((time.monotonic() - began) * 1000))
        return old

    async def judge(self, *, lossless: bool) -> None:
        """Look at what the present master holds; `lossless`: nothing that was acknowledged is missing."""
        master = await asyncio.to_thread(lambda: self.servers.master)
        checker = Checker(master, self.stage.queue.space, self.stage.ledger)
        checker.bear_forgetting()  # starts of the last moment, too
        await nothing_lives(dataclasses.replace(self.stage, server=master))
        self.stage.seen.add("jobs", len(self.stage.acked))
        records = checker.check(self.stage.acked, self.stage.seen)
        missing = set(self.stage.acked) - set(records)
        if lossless and await asyncio.to_thread(lambda: self.servers.failovers) > 1:
            # A starved but living master was replaced as well: one replica of two is too few then.
            self.stage.seen.add(STARVED)
        elif lossless:
            self.stage.seen.add(LOST, len(missing))
            assert not missing, f"lost {sorted(missing)[:5]}"


@asynccontextmanager
async def watched(stage: Stage) -> AsyncGenerator[Failover]:
    """A master, two replicas and three sentinels, workers and a queue that know the sentinels.

    Two replicas, so that the next master has one: with none, `durability="replicated:1"` is out of reach.
    """
    servers = SentinelSet(*_USER, replicas=2)
    await asyncio.to_thread(servers.__enter__)
    try:
        url = servers.url.replace("://", "://app:secret@")
        async with Queue("default", url, namespace=stage.queue.space.keys.namespace) as queue:
            behind = dataclasses.replace(stage, queue=queue)
            await staff(behind, url=url)
            yield Failover(servers, behind)
        stage.fleet.kill_all()
    finally:
        await asyncio.to_thread(servers.__exit__)


def is_deserted(server: Server) -> bool:
    """Whether no connection of ours is there any more."""
    users = re.findall(r"user=(\S+)", _execute(server, "CLIENT", "LIST"))
    return users.count("app") == 1  # the one that asks


@scenario(
    "T50",
    "Sentinel: the master is killed under load",
    checks="",
    quick={"masters": 1},
    full={"masters": 1},
    parts=20,
)
async def master_is_killed(stage: Stage) -> None:
    async with watched(stage) as failover:
        async with load(failover.stage, durability="replicated:1"):
            await failover.during(Server.kill)
        await failover.judge(lossless=True)


@scenario(
    "T51",
    "Sentinel: failover of a master that lives; what it took in its last second may be forgotten",
    checks="",
    quick={"safe": 0},
    full={"safe": 0.5},
    parts=20,
)
async def master_steps_down(stage: Stage) -> None:
    is_safe = stage.dice.random() < stage.numbers["safe"]
    async with watched(stage) as failover:
        sentinel = failover.servers.sentinels[0].client()

        def ask(old: Server) -> None:
            wait_for(lambda: sentinel.execute_command("SENTINEL FAILOVER", SERVICE), "a failover that begins")

        # the replica that is not chosen goes on confirming what the old master takes, until it is told
        async with load(failover.stage, durability="replicated:2" if is_safe else "local"):
            await failover.during(ask, is_alive=True)
        await failover.judge(lossless=is_safe)


@scenario(
    "T52",
    "Sentinel: the old master comes back with old leases",
    checks="",
    quick={"demoted": 0},
    full={"demoted": 1},
    parts=20,
)
async def old_master_returns(stage: Stage) -> None:
    async with watched(stage) as failover:
        async with load(failover.stage, longest=0.5, durability="replicated:1"):
            old = await failover.during(Server.kill)
            await asyncio.to_thread(old.start)  # a master, by its own word
            await is_served(failover.stage)
            assert is_deserted(old)
            if stage.number("demoted"):
                await asyncio.to_thread(failover.servers.wait_watched)
                await is_served(failover.stage)
        await failover.judge(lossless=True)


@scenario(
    "T53",
    "Sentinel: the master is parted from replica and sentinels, with one program that still reaches it",
    checks="",
    quick={"healed": 0},
    full={"healed": 1},
    parts=10,
)
async def master_is_parted(stage: Stage) -> None:
    async with watched(stage) as failover:
        async with load(failover.stage, durability="replicated:1"):
            old = await failover.during(_part, is_alive=True)
        await _on_the_old_side(old, failover.stage)
        if stage.number("healed"):
            _execute(old, "ACL", "SETUSER", "default", "on")
            await asyncio.to_thread(failover.servers.wait_watched)
            await is_served(failover.stage)
        await failover.judge(lossless=True)


async def _on_the_old_side(old: Server, stage: Stage) -> None:
    """What is enqueued there will be gone. Who asks for replicas is told so; with this setting all are."""
    url = old.url.replace("://", "://app:secret@")
    async with Queue("default", url, namespace=stage.queue.space.keys.namespace) as queue:
        with pytest.raises(NotReplicated):
            await queue.enqueue(jobs.nap, 0, durability="replicated:1")
        _execute(old, "CONFIG", "SET", "min-replicas-to-write", "1")
        with impatience(0.1), pytest.raises(QueueUnavailable, match="NOREPLICAS"):
            await queue.enqueue(jobs.nap, 0)


def _part(master: Server) -> None:
    _execute(master, "ACL", "SETUSER", "default", "off")
    _execute(master, "CLIENT", "KILL", "USER", "default")


def _execute(server: Server, *command: str) -> str:
    client: Any
    with redis.Redis(port=server.port, username="app", password="secret", protocol=2) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command(*command)
        return str(connection.read_response())
