"""T26 to T34: Redis refuses, or parts with those that are connected."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.api import troubles
from tests.api.admin import admin, calls_of, clients_of
from tests.api.troubles import PASSING, REFUSING, Trouble
from tests.chaos import jobs
from tests.chaos.load import check_leases, check_slots, impatience, is_served, load, staff
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import REDIS_FAULTS
from tests.servers import Server

TROUBLES = {trouble.name: trouble for trouble in [*PASSING, *REFUSING, troubles.OOM]}
CHECKS = "I1 I2 I3 I4 I5 I10"


@asynccontextmanager
async def suffering(stage: Stage, trouble: Trouble) -> AsyncGenerator[None]:
    """The trouble lasts for the block. It is brought about and cured by calls that block."""
    cure = await asyncio.to_thread(trouble.bring, stage.server)
    stage.seen.add(trouble.name)
    stage.seen.add(REDIS_FAULTS, trouble.name == "LOADING")  # which is a restart
    try:
        yield
    finally:
        await asyncio.to_thread(cure)


async def _through(stage: Stage, *names: str, url: str | None = None) -> None:
    """Refuse everything for up to some leases, again and again: no lease is lost, no job is run twice."""
    await staff(stage, url=url)
    async with load(stage):
        for number in range(stage.number("rounds")):
            await asyncio.sleep(stage.dice.uniform(0.2, 0.6))
            with impatience(stage.dice.choice([0.2, 10])):
                async with suffering(stage, TROUBLES[names[number % len(names)]]):
                    await asyncio.sleep(stage.dice.uniform(0.3, 1) * stage.numbers["seconds"])
            await is_served(stage)
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


@scenario(
    "T28",
    "Redis is out of memory",
    checks=CHECKS,
    quick={"rounds": 1, "seconds": 2},
    full={"rounds": 5, "seconds": 10},
    parts=2,
)
async def out_of_memory(stage: Stage) -> None:
    """Nothing new comes in; whatever runs or waits ends, and is told to those who wait for it."""
    await staff(stage)
    for _ in range(stage.number("rounds")):
        async with load(stage):
            await asyncio.sleep(0.5)
            running = [await stage.enqueue(jobs.nap, stage.dice.uniform(0, 1)) for _ in range(20)]
            async with suffering(stage, TROUBLES["OOM"]):
                await asyncio.gather(*(job.wait(30) for job in running))
                await asyncio.sleep(stage.numbers["seconds"])
            await is_served(stage)
    assert stage.seen.counts["refused"]
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


@scenario(
    "T29",
    "Redis cannot write its snapshot (MISCONF)",
    checks=CHECKS,
    quick={"rounds": 1, "seconds": 2},
    full={"rounds": 5, "seconds": 20},
    parts=2,
    server=lambda: Server("--enable-protected-configs", "local"),
)
async def cannot_save(stage: Stage) -> None:
    await _through(stage, "MISCONF")


@scenario(
    "T30",
    "a foreign script does not end (BUSY)",
    checks=CHECKS,
    quick={"rounds": 1, "seconds": 2},
    full={"rounds": 10, "seconds": 4},
    parts=2,
)
async def busy(stage: Stage) -> None:
    """It is not ours to kill."""
    await _through(stage, "BUSY")
    assert calls_of(stage.server, "script|kill") <= stage.number("rounds") * 2, "somebody killed a script"


@scenario(
    "T31",
    "Redis loads its data for long",
    checks=CHECKS,
    quick={"rounds": 1, "seconds": 1},
    full={"rounds": 5, "seconds": 1},
    parts=2,
    server=lambda: Server(*TROUBLES["LOADING"].settings),
)
async def loading(stage: Stage) -> None:
    await _through(stage, "LOADING")


@scenario(
    "T32",
    "the master becomes a replica and a master again (READONLY)",
    checks=CHECKS,
    quick={"rounds": 2, "seconds": 1},
    full={"rounds": 10, "seconds": 4},
    parts=4,
)
async def demoted(stage: Stage) -> None:
    """Nobody storms it: each of two workers and this program has some calls to repeat."""
    began = time.monotonic()
    await _through(stage, "READONLY")
    rejected = _rejected(stage.server)
    rate = rejected / (time.monotonic() - began)
    stage.seen.add("repeated", rejected)
    assert rate < 60, f"{rate:.0f} calls a second were refused"


def _rejected(server: Server) -> int:
    with admin(server) as client:
        return int(client.info("commandstats")["cmdstat_evalsha"]["rejected_calls"])


@scenario(
    "T33",
    "too few replicas, password changed, permissions taken away",
    checks=CHECKS,
    quick={"rounds": 4, "seconds": 1},
    full={"rounds": 12, "seconds": 4},
    parts=4,
)
async def refused(stage: Stage) -> None:
    """The workers have a user of their own, who is then not let in, or may run no scripts."""
    url = stage.server.user("worker", "~*", "&*", "+@all")
    await _through(stage, "NOREPLICAS", "WRONGPASS", "NOAUTH", "NOPERM of workers", url=url)


def _strangers(server: Server) -> Callable[[], None]:
    with admin(server) as client:
        client.execute_command("ACL", "SETUSER", "worker", "resetpass", ">another")
        client.execute_command("CLIENT", "KILL", "USER", "worker")
    return functools.partial(_rule, server, "resetpass", ">secret")


def _forbidden(server: Server) -> Callable[[], None]:
    _rule(server, "-evalsha")
    return functools.partial(_rule, server, "+evalsha")


def _rule(server: Server, *rules: str) -> None:
    with admin(server) as client:
        client.execute_command("ACL", "SETUSER", "worker", *rules)


TROUBLES["WRONGPASS"] = Trouble("WRONGPASS", _strangers, "-WRONGPASS")
TROUBLES["NOPERM of workers"] = Trouble("NOPERM", _forbidden, "-NOPERM")


@scenario(
    "T34",
    "the most clients are reached",
    checks=CHECKS,
    quick={"rounds": 1, "seconds": 2},
    full={"rounds": 8, "seconds": 5},
    parts=2,
)
async def crowded(stage: Stage) -> None:
    await _through(stage, "maxclients")


@scenario(
    "T26",
    "connections are killed, of each kind",
    checks=CHECKS,
    quick={"kills": 20},
    full={"kills": 300},
    parts=4,
)
async def connections_killed(stage: Stage) -> None:
    await staff(stage, lease=2)
    async with load(stage):
        waiting = [await stage.enqueue(jobs.nap, stage.dice.uniform(0, 3)) for _ in range(10)]
        waiters = [asyncio.create_task(job.wait(60)) for job in waiting]
        for _ in range(stage.number("kills")):
            stage.seen.add("connections", _kill_some(stage))
            await asyncio.sleep(stage.dice.uniform(0, 0.2))
        await asyncio.gather(*waiters)
        await is_served(stage)
    assert not stage.seen.counts["refused"] + stage.seen.counts["uncertain"], "an error reached a program"
    await stage.all_ended()
    check_leases(stage, lease=2)
    check_slots(stage)


def _kill_some(stage: Stage) -> int:
    """All connections, those that subscribe, those that wait for a wake token, or any one, as a beat's."""
    clients = clients_of(stage.server)
    kinds = {
        "all": clients,
        "pubsub": [client for client in clients if "P" in client["flags"]],
        "waiting": [client for client in clients if client["cmd"] == "blpop"],
        "one": clients and [stage.dice.choice(clients)],
    }
    chosen = kinds[stage.dice.choice(sorted(kinds))]
    with admin(stage.server) as client:
        return sum(client.execute_command("CLIENT", "KILL", "ID", each["id"]) for each in chosen)


@scenario(
    "T27",
    "scripts are flushed and evicted",
    checks=CHECKS,
    quick={"seconds": 2.5},
    full={"seconds": 60},
    parts=2,
)
async def scripts_flushed(stage: Stage) -> None:
    """Also between a settlement and the claim behind it."""
    await staff(stage)
    async with load(stage, longest=0.02):
        await asyncio.to_thread(_flush, stage)
        await is_served(stage)
    assert not stage.seen.counts["refused"] + stage.seen.counts["uncertain"], "an error reached a program"
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


def _flush(stage: Stage) -> None:
    until = time.monotonic() + stage.numbers["seconds"]
    client: Any
    with admin(stage.server) as client:
        while time.monotonic() < until:
            if stage.dice.random() < 0.05:
                pipeline = client.pipeline(transaction=False)
                for number in range(700):
                    pipeline.eval(f"return {number}{stage.dice.random()}", 0)
                pipeline.execute()
                stage.seen.add("evictions")
            client.script_flush()
            stage.seen.add("flushes")
            time.sleep(stage.dice.choice([0, 0, 0.001, 0.05]))
