"""T20 to T25, T31: Redis dies, comes back with less than it had, or stands still."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Awaitable, Callable

from aqueue import NoSuchJobError
from tests.api.admin import admin
from tests.chaos import jobs
from tests.chaos.load import check_leases, check_slots, impatience, is_served, load, nothing_lives, staff
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import REDIS_FAULTS
from tests.servers import Server
from tests.support import wait_until


@scenario(
    "T20",
    "Redis is killed under load and restarted",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"kills": 2, "away": 0.8},
    full={"kills": 10, "away": 5},
    parts=8,
)
async def killed_and_restarted(stage: Stage) -> None:
    await staff(stage)
    async with load(stage):
        for _ in range(stage.number("kills")):
            await asyncio.sleep(stage.dice.uniform(0.3, 1.2))
            with impatience(stage.dice.choice([0.2, 10])):
                stage.server.kill()
                stage.seen.add(REDIS_FAULTS)
                await asyncio.sleep(stage.dice.uniform(0, stage.numbers["away"]))
            await asyncio.to_thread(stage.server.start)
            await is_served(stage)
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


@scenario(
    "T24",
    "Redis is frozen for three leases",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"freezes": 1},
    full={"freezes": 10},
    parts=8,
)
async def frozen(stage: Stage) -> None:
    async def stop() -> None:
        stage.server.freeze()
        await asyncio.sleep(3 + stage.dice.uniform(0, 0.5))
        stage.server.thaw()

    await staff(stage)
    for _ in range(stage.number("freezes")):
        await _stand_still(stage, stop)
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


async def _stand_still(stage: Stage, stop: Callable[[], Awaitable[None]]) -> None:
    """Some jobs end meanwhile, some are to be enqueued, some run all the time."""
    long = [await stage.enqueue(jobs.nap, stage.dice.uniform(0.5, 5)) for _ in range(4)]
    await wait_until(lambda: all(stage.ledger.starts()[job.id] for job in long), timeout=20)
    async with load(stage):
        await asyncio.sleep(stage.dice.uniform(0.2, 0.5))
        await stop()
        stage.seen.add(REDIS_FAULTS)
        await is_served(stage)


@scenario(
    "T25",
    "CLIENT PAUSE, DEBUG SLEEP",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"stops": 1},
    full={"stops": 10},
    parts=6,
)
async def paused(stage: Stage) -> None:
    async def stop() -> None:
        command = stage.dice.choice(["CLIENT PAUSE 3000 ALL", "CLIENT PAUSE 3000 WRITE", "DEBUG SLEEP 3"])
        stage.seen.add(command)
        with admin(stage.server) as client:
            await asyncio.to_thread(client.execute_command, *command.split())
        await asyncio.sleep(3)

    await staff(stage)
    for _ in range(stage.number("stops")):
        await _stand_still(stage, stop)
    await stage.all_ended()
    check_leases(stage)
    check_slots(stage)


@scenario(
    "T21",
    "the AOF's tail is cut off at a random byte",
    checks="I3 I5",
    quick={"cuts": 2},
    full={"cuts": 10},
    parts=10,
)
async def tail_cut_off(stage: Stage) -> None:
    """What is left is whole: each script is in the AOF as one transaction."""

    def cut() -> None:
        stage.server.kill()
        [file] = stage.server.folder.glob("appendonlydir/*.incr.aof")
        size = file.stat().st_size
        os.truncate(file, size - stage.dice.randrange(min(size, 50_000)))
        stage.server.start()

    await _go_back(stage, cut, rounds=stage.number("cuts"))


@scenario(
    "T22",
    "Redis comes back with data that is old",
    checks="I3 I5",
    quick={"rounds": 1, "work": 1},
    full={"rounds": 5, "work": 15},
    parts=4,
    server=lambda: Server(aof=False),
)
async def old_data(stage: Stage) -> None:
    def save_then_restart() -> None:
        with admin(stage.server) as client:
            client.save()
        time.sleep(stage.dice.uniform(0.5, 1) * stage.numbers["work"])
        stage.server.restart()

    await _go_back(stage, save_then_restart, rounds=stage.number("rounds"))


async def _go_back(stage: Stage, fault: Callable[[], None], *, rounds: int) -> None:
    """Redis forgets what was done last. What it still knows ends, what it does not is gone as a whole."""
    stage.checker.bear_forgetting()
    await staff(stage)
    for _ in range(rounds):
        async with load(stage):
            await asyncio.sleep(stage.dice.uniform(0.3, 1))
            await asyncio.to_thread(fault)
            stage.seen.add(REDIS_FAULTS)
            await is_served(stage)
        await nothing_lives(stage)


@scenario(
    "T23",
    "Redis comes back empty",
    checks="I3 I5",
    quick={"rounds": 2},
    full={"rounds": 10},
    parts=2,
    server=lambda: Server(aof=False),
)
async def empty(stage: Stage) -> None:
    """Who waits is told, what runs is cancelled, and the next job runs."""
    stage.checker.bear_forgetting()
    await staff(stage)
    for number in range(1, stage.number("rounds") + 1):
        held = [await stage.enqueue(jobs.wait_at, str(stage.folder / "door")) for _ in range(4)]
        waiters = [asyncio.create_task(job.wait(30)) for job in held]
        await wait_until(lambda: len(stage.ledger.starts()) == len(stage.acked))
        if stage.dice.random() < 0.5:
            await asyncio.to_thread(stage.server.restart)
        else:
            with admin(stage.server) as client:
                client.flushall()
        stage.seen.add(REDIS_FAULTS)
        began = time.monotonic()
        for told in await asyncio.gather(*waiters, return_exceptions=True):
            assert isinstance(told, NoSuchJobError), told
        took = time.monotonic() - began - stage.stalls.between(began, time.monotonic())
        assert took < 6, f"who waited was told after {took:.1f} s"
        await is_served(stage)
        await wait_until(functools.partial(_have_dropped, stage, 4 * number))


def _have_dropped(stage: Stage, count: int) -> bool:
    return sum(worker.output.count("the lease was lost") for worker in stage.fleet.workers) == count
