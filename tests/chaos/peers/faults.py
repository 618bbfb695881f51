"""What is done to each queue; the ids are those of the catalogue in docs/reliability.md."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.peers.host import LEASE
from tests.chaos.peers.trial import Trial, kill
from tests.support import wait_until

Fault = Callable[[Trial], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Told:
    """A fault and what it is called in the table."""

    words: str
    run: Fault


async def _some(trial: Trial, count: int, shortest: float, longest: float) -> None:
    for _ in range(count):
        await trial.enqueue(random.uniform(shortest, longest))


def _summary(trial: Trial, *more: str) -> str:
    """Lost, run to the end twice, and how many there were."""
    ends = trial.count("end")
    twice = sum(ends[number] > 1 for number in trial.acked)
    words = [f"{trial.missing()} lost", f"{twice} twice", *more]
    return ", ".join(words) + f" of {len(trial.acked)}"


async def killed_at_random(trial: Trial) -> str:
    """Six kills of one of two workers."""
    await trial.begin(2)
    await _some(trial, 200, 0.05, 0.3)
    for _ in range(6):
        await asyncio.sleep(random.uniform(0.3, 0.8))
        kill(random.choice(trial.workers))
        trial.respawn()
        await _some(trial, 10, 0.05, 0.3)
    await trial.all_ended()
    return _summary(trial)


async def killed_at_the_claim(trial: Trial) -> str:
    """A worker is killed so many milliseconds after the enqueue of a job returned."""
    await trial.begin(1)
    for moment in range(12):
        await trial.enqueue(0.01)
        await asyncio.sleep(moment * 0.0015)
        kill(trial.workers[0])
        trial.respawn()
        await wait_until(lambda: trial.workers[0].poll() is None)
        await asyncio.sleep(1.0)
    await trial.all_ended()
    return _summary(trial)


async def frozen_past_its_lease(trial: Trial) -> str:
    """A worker sleeps while another one takes over its job, and wakes up to finish it."""
    await trial.begin(2)
    number = await trial.enqueue(2.0)
    await wait_until(lambda: trial.runner(number), timeout=20)
    runner = trial.runner(number)
    holder = _worker_of(trial, runner)
    stopped = {runner, holder}
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        await wait_until(lambda: trial.count("end")[number] == 1, timeout=trial.patience, every=0.1)
    except AssertionError:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        await trial.all_ended()
        return f"not taken over within {trial.patience:g} s"
    await asyncio.sleep(1.0)
    before = await trial.result(number)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(LEASE)
    after = await trial.result(number)
    if isinstance(before, dict) or isinstance(after, dict):
        return "its result cannot be read"
    return "taken over; " + ("one outcome" if before == after else "its outcome was overwritten")


def _worker_of(trial: Trial, runner: int) -> int:
    """The worker whose process, or whose child, has this pid."""
    mine = {process.pid for process in trial.workers}
    pid = runner
    while pid not in mine and pid > 1:
        with open(f"/proc/{pid}/stat") as facts:
            pid = int(facts.read().rpartition(")")[2].split()[1])
    return pid


async def blocked_loop(trial: Trial) -> str:
    """A job computes for three leases without giving way."""
    await trial.begin(2)
    numbers = [await trial.enqueue(3.0 * LEASE, "block") for _ in range(2)]
    await trial.all_ended(timeout=trial.patience + 6 * LEASE)
    await asyncio.sleep(1.0)
    starts = trial.count("start")
    return _summary(trial, f"{sum(starts[number] - 1 for number in numbers)} second runs")


async def poison(trial: Trial) -> str:
    """Two jobs end their process each time, among thirty good ones."""
    await trial.begin(2)
    pills = [await trial.enqueue(0, "die") for _ in range(2)]
    trial.acked = [number for number in trial.acked if number not in pills]
    await _some(trial, 30, 0.01, 0.05)
    await trial.all_ended()
    for _ in range(int(trial.patience / 2)):
        trial.respawn()
        await asyncio.sleep(1.0)
    starts = trial.count("start")
    shown = " and ".join(str(starts[number]) for number in pills)
    return _summary(trial, f"pills run {shown} times")


async def redis_killed(trial: Trial) -> str:
    """Redis is killed, and started again after a second with all that it had acknowledged."""
    await trial.begin(2)
    await _some(trial, 100, 0.05, 0.5)
    trial.server.kill()
    await asyncio.sleep(1.0)
    trial.server.start()
    await _some(trial, 20, 0.05, 0.2)
    await trial.all_ended()
    return _summary(trial)


async def redis_frozen(trial: Trial) -> str:
    """Redis stands still for three leases while jobs run that take four."""
    await trial.begin(2)
    numbers = [await trial.enqueue(4.0 * LEASE) for _ in range(2)]
    await wait_until(lambda: all(map(trial.runner, numbers)), timeout=20)
    trial.server.freeze()
    await asyncio.sleep(3.0 * LEASE)
    trial.server.thaw()
    await trial.all_ended(timeout=trial.patience + 4 * LEASE)
    starts = trial.count("start")
    return _summary(trial, f"{sum(starts[number] - 1 for number in numbers)} second runs")


async def redis_full(trial: Trial) -> str:
    """Redis has no memory for longer than a lease, while jobs run and end."""
    await trial.begin(2)
    numbers = [await trial.enqueue(4.0) for _ in range(2)]
    await wait_until(lambda: all(map(trial.runner, numbers)), timeout=20)
    with trial.server.client() as client:
        client.execute_command("CONFIG", "SET", "maxmemory", "1")  # pyright: ignore[reportUnknownMemberType]
        await trial.enqueue(0.1)
        await asyncio.sleep(2.0 * LEASE)
        client.execute_command("CONFIG", "SET", "maxmemory", "0")  # pyright: ignore[reportUnknownMemberType]
    await trial.all_ended()
    starts = trial.count("start")
    return _summary(trial, f"{sum(starts[number] - 1 for number in numbers)} second runs")


async def replies_lost(trial: Trial) -> str:
    """Two of a hundred replies of Redis are lost with their connections, of producers and workers."""
    from tests.api.proxy import Proxy

    dice = random.Random(1)
    async with Proxy(trial.server.url) as proxy:
        trial.url = proxy.url
        await trial.begin(2)
        proxy.loses = lambda chunk: dice.random() < 0.02
        await _some(trial, 150, 0.01, 0.05)
        proxy.loses = None
        await trial.all_ended()
    return _summary(trial, f"{trial.refused} enqueues raised")


FAULTS = {
    "T01": Told("a worker is killed six times", killed_at_random),
    "T02": Told("a worker is killed 0 to 16 ms after each enqueue", killed_at_the_claim),
    "T05": Told("a worker is frozen until another one took over", frozen_past_its_lease),
    "T07": Told("a job blocks the event loop for three leases", blocked_loop),
    "T16": Told("a job ends its process each time", poison),
    "T20": Told("Redis is killed and restarted", redis_killed),
    "T24": Told("Redis is frozen for three leases", redis_frozen),
    "T28": Told("Redis is out of memory for two leases", redis_full),
    "T40": Told("2 % of the replies are lost", replies_lost),
}
