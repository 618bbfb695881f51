"""T55 and T56: the slot of the namespace goes to another node of the cluster, and comes back."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from aqueue import Queue, QueueUnavailable
from tests.chaos import jobs
from tests.chaos.checker import Checker
from tests.chaos.load import SLOTS, check_leases, is_served, load, nothing_lives, staff
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import REDIS_FAULTS
from tests.clusters import ClusterSet, slot_of
from tests.servers import Server


@dataclasses.dataclass
class Home:
    """The one node that programs and workers know, and a stage whose queue is there."""

    nodes: ClusterSet
    slot: int
    server: Server
    stage: Stage

    async def is_away(
        self, leave: Callable[[], object], come_back: Callable[[], object], *, others: bool = False
    ) -> None:
        """Let the slot be elsewhere for some time, under load; `others`: there are workers there."""
        await asyncio.sleep(self.stage.dice.uniform(0.2, 0.6))
        began = time.monotonic()
        await asyncio.to_thread(leave)
        self.stage.seen.add("moves" if self.server.is_up else REDIS_FAULTS)
        if self.server.is_up:
            with pytest.raises(QueueUnavailable) as caught:
                await self.stage.queue.enqueue(jobs.nap, 0)
            assert caught.value.moved_to == f"127.0.0.1:{self.nodes.owner(self.slot).port}"
        if others:
            await self._work_elsewhere()
        await asyncio.sleep(self.stage.dice.uniform(0, 0.6))
        await asyncio.to_thread(come_back)
        assert self.nodes.owner(self.slot) is self.server
        await is_served(self.stage)
        self.stage.seen.add("away_ms", round((time.monotonic() - began) * 1000))

    async def _work_elsewhere(self) -> None:
        """Let another worker serve where the slot is now, which finds the jobs of those who cannot reach it.

        When the slot is back, these are the ones who wait.
        """
        url = self.nodes.owner(self.slot).url
        async with Queue("default", url, namespace=self.stage.queue.space.keys.namespace) as queue:
            there = dataclasses.replace(self.stage, queue=queue)
            if len(there.fleet.workers) == len(SLOTS):  # the first time
                await staff(there, slots=(4,), url=url)
            job = await there.enqueue(jobs.nap, 0)
            await job.wait(60)

    async def judge(self, *, is_forgetful: bool = False, others: bool = False) -> None:
        """Look at what is there.

        Args:
            is_forgetful: But for enqueues, what was written last may be gone.
            others: Leases may have been lost to workers elsewhere.
        """
        await nothing_lives(self.stage)
        self.stage.seen.add("jobs", len(self.stage.acked))
        if is_forgetful:
            self.stage.checker.bear_forgetting()
        records = self.stage.checker.check(self.stage.acked, self.stage.seen)
        assert not set(self.stage.acked) - set(records)
        if not (is_forgetful or others):
            check_leases(self.stage)


@asynccontextmanager
async def at_home(stage: Stage, nodes: int) -> AsyncGenerator[Home]:
    """A cluster, workers and a queue at the node that has the namespace."""
    cluster = ClusterSet(nodes)
    await asyncio.to_thread(cluster.__enter__)
    try:
        slot = slot_of(stage.queue.space.keys.namespace)
        server = cluster.owner(slot)
        async with Queue("default", server.url, namespace=stage.queue.space.keys.namespace) as queue:
            checker = Checker(server, queue.space, stage.ledger)
            there = dataclasses.replace(stage, server=server, queue=queue, checker=checker)
            await staff(there, url=server.url)
            yield Home(cluster, slot, server, there)
        stage.fleet.kill_all()
    finally:
        await asyncio.to_thread(cluster.__exit__)


@scenario(
    "T55",
    "Cluster: the slot's master fails over and back, alive or killed, with or without workers at the other",
    checks="",
    quick={"rounds": 1, "kills": 0, "others": 0},
    full={"rounds": 6, "kills": 0.5, "others": 0.5},
    parts=20,
)
async def master_fails_over_and_back(stage: Stage) -> None:
    killed = [stage.dice.random() < stage.numbers["kills"] for _ in range(stage.number("rounds"))]
    others = stage.dice.random() < stage.numbers["others"]
    async with at_home(stage, 6) as home:
        nodes, slot, server = home.nodes, home.slot, home.server

        change = functools.partial(nodes.fail_over, slot)

        def die() -> None:
            server.kill()
            nodes.owner(slot)

        def rise_again() -> None:
            server.start()
            nodes.wait_until_well()
            change()

        async with load(home.stage, durability="replicated:1"):
            for is_killed in killed:
                if is_killed:
                    await home.is_away(die, rise_again, others=others)
                else:
                    await home.is_away(change, change, others=others)
        await home.judge(is_forgetful=any(killed), others=others)


@scenario(
    "T56",
    "Cluster: the slot is moved away and back under load, key by key or in one step",
    checks="",
    quick={"rounds": 2},
    full={"rounds": 20},
    parts=5,
)
async def slot_is_moved(stage: Stage) -> None:
    async with at_home(stage, 3) as home:
        nodes, slot, server = home.nodes, home.slot, home.server
        async with load(home.stage):
            for number in range(stage.number("rounds")):
                move = functools.partial((nodes.move, nodes.move_at_once)[number % 2], slot)
                other = nodes.stranger(slot)
                await home.is_away(functools.partial(move, other), functools.partial(move, server))
        await home.judge()
