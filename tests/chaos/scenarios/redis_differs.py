"""T35 to T38: what Redis holds, its clock, its memory and its rights are not as they should be."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from aqueue import Queue
from tests.api.admin import admin
from tests.chaos import jobs
from tests.chaos.load import SLOTS, check_leases, check_slots, is_served, load, nothing_lives, staff
from tests.chaos.scenario import Stage, scenario
from tests.servers import Server, valkey_binary
from tests.support import wait_until

#: Debian's libfaketime: gives a process another clock. Without it there is no T36.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
HOUR = 3600
_MOVE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end"


@scenario(
    "T35",
    "keys of foreign types under our prefix",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"rounds": 2},
    full={"rounds": 30},
    parts=2,
)
async def foreign_keys(stage: Stage) -> None:
    """One after the other, each name of ours is taken by somebody else's value for a while.

    Where claims go on but no settlements, outcomes pile up: no worker holds more than twice its slots.
    """
    await staff(stage)
    keys = stage.queue.space.keys
    names = [keys.queues, keys.workers, keys.heartbeat, keys.hold, keys.meta("default"), keys.wake("default")]
    registries = ("queue", "started", "scheduled", "expiring", "finished", "failed", "canceled", "expired")
    names += [keys.registry(registry, "default") for registry in registries]
    async with load(stage, bear=(ResponseError,)):
        for name in stage.dice.sample(names * stage.number("rounds"), stage.number("rounds")):
            await asyncio.sleep(stage.dice.uniform(0.2, 0.5))
            await _take_place(stage, name, stage.dice.uniform(0.1, 1.5))
            assert _held(stage) <= 2 * sum(SLOTS)
            await is_served(stage)
    await stage.all_ended()


def _held(stage: Stage) -> int:
    with admin(stage.server) as client:
        return int(client.zcard(stage.queue.space.keys.registry("started", "default")))


async def _take_place(stage: Stage, name: str, seconds: float) -> None:
    """Each step in one script: whatever is there must not be overwritten."""
    foreign = ("RPUSH" if name.endswith((":heartbeat", ":hold")) else "SET", name, "foreign")
    client: Any
    with admin(stage.server) as client:
        client.eval(f"{_MOVE} redis.call(unpack(ARGV))", 2, name, "aside", *foreign)
        stage.seen.add("foreign")
        await asyncio.sleep(seconds)
        client.eval(f"redis.call('DEL', KEYS[2]) {_MOVE}", 2, "aside", name)


class ClockedServer(Server):
    """Its clock can be put forward and back."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0
        self._file = self.folder / "offset"
        self.put(0)
        launcher = self.folder / "launcher"
        launcher.write_text(
            f"#!/bin/sh\nLD_PRELOAD={FAKETIME} FAKETIME_TIMESTAMP_FILE={self._file} FAKETIME_NO_CACHE=1 "
            f'FAKETIME_DONT_FAKE_MONOTONIC=1 exec {valkey_binary()} "$@"\n'
        )
        launcher.chmod(0o755)
        self._settings[0] = str(launcher)

    def put(self, seconds: float) -> None:
        """By so much, from where it is."""
        self.offset += seconds
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{self.offset:+f}\n")
        draft.replace(self._file)


async def clock_jumps(stage: Stage) -> None:
    """Nobody takes jobs from workers whose leases only seem to have passed; what is due by the clock runs."""
    assert isinstance(stage.server, ClockedServer)
    await staff(stage)
    for _ in range(stage.number("jumps")):
        long = [await stage.enqueue(jobs.nap, stage.dice.uniform(0.5, 3), result_ttl="7d") for _ in range(4)]
        await wait_until(functools.partial(_have_started, stage, {job.id for job in long}), timeout=20)
        async with load(stage, result_ttl="7d"):
            by = stage.dice.choice([0.3, 0.8, 3, HOUR]) * stage.dice.choice([1, -1])
            later = await stage.queue.enqueue_in(HOUR, jobs.nap, 0, result_ttl="7d")
            stage.acked.append(later.id)
            stage.server.put(by)
            stage.seen.add("jumps")
            await asyncio.sleep(stage.dice.uniform(0.5, 2))
            await is_served(stage, result_ttl="7d")
            if by < -3:  # what was scheduled before would be an hour late
                stage.server.put(-by)
            if by != HOUR:
                assert await later.get_status() == "scheduled"
                stage.server.put(HOUR)
            await later.wait(20)
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


def _have_started(stage: Stage, ids: set[str]) -> bool:
    return ids <= stage.ledger.starts().keys()


if FAKETIME is not None:
    scenario(
        "T36",
        "the clock jumps",
        checks="I1 I2 I3 I4 I5 I10",
        quick={"jumps": 1},
        full={"jumps": 20},
        parts=3,
        server=ClockedServer,
    )(clock_jumps)


POLICIES = ["volatile-lru", "volatile-ttl", "volatile-random", "allkeys-lru", "allkeys-lfu", "allkeys-random"]


@scenario(
    "T37",
    "eviction policies",
    checks="",
    quick={"policies": 2, "seconds": 1.5},
    full={"policies": 6, "seconds": 10},
    parts=2,
)
async def evicted(stage: Stage) -> None:
    """Whatever is evicted has a TTL or, if all keys may be, is lost; the workers go on in any case."""
    await staff(stage)
    for policy in POLICIES[:: len(POLICIES) // stage.number("policies")]:
        with admin(stage.server) as client:
            evictions = int(client.info("stats")["evicted_keys"])
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + 1_500_000)
            async with load(stage, meta={"padding": "x" * 20_000}):
                await asyncio.sleep(stage.numbers["seconds"])
            await nothing_lives(stage)
            client.config_set("maxmemory", 0)
            gone = int(client.info("stats")["evicted_keys"]) - evictions
        assert gone, f"nothing was evicted by {policy}"
        stage.seen.add(f"evicted by {policy}", gone)
        await is_served(stage)
        if policy.startswith("volatile"):
            assert stage.checker.ended() == len(stage.acked), f"{policy} cost live jobs"
    stage.seen.add("jobs", len(stage.acked))


@scenario(
    "T38",
    "no permission for CONFIG, INFO and CLIENT",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"seconds": 1},
    full={"seconds": 30},
)
async def few_rights(stage: Stage) -> None:
    rules = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "-config", "-info", "-client")
    url = stage.server.user("few", *rules)
    await staff(stage, url=url)
    async with Queue("default", url, namespace="chaos") as stage.queue, load(stage):
        await asyncio.sleep(stage.numbers["seconds"])
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)
    assert not [worker for worker in stage.fleet.workers if "Traceback" in worker.output]
