"""T42 to T47: connections that are cut, silent, slow and parted, between Redis and real workers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.names import new_nonce
from aqueue._core.outcome import Finished, Lease, Outcome
from aqueue._redis import operations
from aqueue._redis.client import AsyncClient
from aqueue._redis.operations import Claimed
from aqueue._redis.scripts import load
from aqueue._redis.source import from_url
from tests.api.proxy import Proxy, Way
from tests.chaos import jobs
from tests.chaos.ledger import VARIABLE
from tests.chaos.load import check_leases, check_slots, staff
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import quiet
from tests.chaos.seen import LOST_REPLIES, STARVED, ZOMBIES
from tests.chaos.storms import Storm, short_pauses
from tests.support import wait_until
from tests.worker.hands import working

CLAIM, SETTLE = load("claim").sha.encode(), load("settle").sha.encode()


# -- T42


@scenario(
    "T42",
    "the connection is cut at each byte of the replies to a settlement and the claim behind it",
    checks="",
    quick={"first": 0, "step": 47},
    full={"first": 0, "step": 1},
)
async def cut_at_each_byte(stage: Stage) -> None:
    """The two leave together, as a worker sends them."""
    async with Proxy(stage.server.url) as proxy:
        client = AsyncClient(from_url(proxy.url))
        with short_pauses(), quiet():
            held = await _settle_and_claim(stage, client, [])
            for offset in range(stage.number("first"), 100_000, stage.number("step")):
                rule = proxy.on(SETTLE, "cut inside", bytes=offset)
                held = await _settle_and_claim(stage, client, held)
                assert rule.met == 1
                proxy.clear()
                stage.seen.add("offsets")
                if rule.bytes > 0:
                    break  # all that was said came through
        await client.aclose()
    stage.seen.add(LOST_REPLIES, stage.seen.counts["offsets"])


async def _settle_and_claim(stage: Stage, client: AsyncClient, held: Sequence[Lease]) -> list[Lease]:
    """Record what is held and claim what has come: the server and the client agree about both."""
    keys, space = stage.queue.space.keys, stage.queue.space
    made = await stage.queue.enqueue_many([Queue.prepare_data(jobs.nap, (0.1,)) for _ in range(3)])
    ended: list[tuple[Lease, Outcome]] = [(lease, Finished(b"r")) for lease in held]
    settle = operations.settle(keys, ended)
    claim = operations.claim(
        keys, ["default"], worker_id="w1", name="w1", nonce=new_nonce(), limit=3, lease_ms=60_000
    )
    words, claimed = await asyncio.gather(client.run(settle), client.run(claim))
    assert words == ["ok"] * len(held)
    assert isinstance(claimed, Claimed)
    assert [lease.job_id for lease in claimed.leases] == [job.id for job in made]
    db: Any
    with stage.server.client() as db:
        started = [raw.decode() for raw in db.zrange(keys.registry("started", "default"), 0, -1)]
        assert sorted(started) == sorted(job.id for job in made)
        assert db.zcard(keys.registry("queue", "default")) == 0
    await space.client.run(operations.delete(keys, [lease.job_id for lease in held], nonce=new_nonce()))
    return list(claimed.leases)


# -- T43


#: What is lost of the connections that there are: requests, replies, or both.
SILENCES = {"requests": (True, False), "replies": (False, True), "both": (True, True)}
#: Seconds until a connection that says nothing is given up; promised is 5, and 2 for noticing that.
DETECTED = 7.0


@scenario(
    "T43",
    "all connections go silent without being closed, in one direction or both",
    quick={"silences": 1, "jobs": 3},
    full={"silences": 9, "jobs": 10},
    parts=6,
)
async def half_open(stage: Stage) -> None:
    """What was sent into the silence arrives in the end, as it does with TCP."""
    async with Proxy(stage.server.url) as proxy, Queue("default", proxy.url, namespace="chaos") as far:
        await stage.fleet.spawn(lease=20, concurrency=4, url=proxy.url).serving()
        for _ in range(stage.number("silences")):
            before = [await stage.enqueue(jobs.nap, 0.2) for _ in range(stage.number("jobs"))]
            ways = silence(proxy, *SILENCES[stage.dice.choice(list(SILENCES))])
            began = time.monotonic()
            stage.seen.add("silences")
            job = await far.enqueue(jobs.nap, 0)
            stage.acked.append(job.id)
            await job.wait(60)
            took = time.monotonic() - began - stage.stalls.between(began, time.monotonic())
            assert took < 2 * DETECTED + 2, (
                f"deaf for {took:.1f} s"
            )  # the enqueue's silence, then the claim's
            stage.seen.add("half_open_ms", round(took * 1000))
            await asyncio.gather(*(each.wait(60) for each in before))
            for way in ways:
                way.is_silent = False
            await asyncio.sleep(stage.dice.uniform(0, 0.5))
        await stage.all_ended()


def silence(proxy: Proxy, requests: bool, replies: bool) -> list[Way]:
    """Let all present connections be silent, and the next ones be well."""
    ways = [proxy.requests] * requests + [proxy.replies] * replies
    for way in ways:
        way.is_silent = True
    proxy.requests, proxy.replies = Way(), Way()
    return ways


# -- T44

#: Seconds of delay and jitter in each direction, bytes a second, and the lease that is kept with it.
PROFILES = [
    (0.001, 0.0, float("inf"), 4.0),
    (0.025, 0.025, float("inf"), 4.0),
    (0.1, 0.1, float("inf"), 5.0),
    (0.25, 0.05, float("inf"), 8.0),
    (0.5, 0.2, float("inf"), 20.0),
    (1.2, 0.2, float("inf"), 40.0),
    (0.001, 0.0, 64_000, 5.0),
    (0.1, 0.1, 64_000, 8.0),
]


@scenario(
    "T44",
    "slow networks: delays, jitter, little bandwidth",
    quick={"jobs": 6, "profiles": 1},
    full={"jobs": 40, "profiles": 4},
    parts=6,
)
async def slow(stage: Stage) -> None:
    """Leases are kept as long as an answer takes less than a tenth of them: nothing runs twice."""
    profiles = PROFILES[:3] if stage.number("profiles") == 1 else PROFILES
    for delay, jitter, rate, lease in stage.dice.sample(profiles, stage.number("profiles")):
        async with Proxy(stage.server.url) as proxy:
            worker = await stage.fleet.spawn(lease=lease, concurrency=8, url=proxy.url).serving()
            for way in (proxy.requests, proxy.replies):
                way.delay, way.jitter, way.rate = delay, jitter, rate
            for _ in range(stage.number("jobs")):
                await stage.enqueue(jobs.nap, stage.dice.uniform(0, 0.5))
            await stage.enqueue(jobs.nap, min(lease * 1.3, 10))
            await stage.all_ended()
            worker.kill()
        stage.seen.add("profiles")
    if stage.stalls.longest < 0.5:
        starts = stage.ledger.starts()
        assert max(starts.values()) == 1, "a lease was lost though all answers came in time"
    else:
        stage.seen.add(STARVED)


# -- T45

#: Of the workers: a claim of theirs follows each settlement at once.
SLOTS = (1, 2, 8)


@scenario(
    "T45",
    "random faults: 2 % of all replies, and a tenth of all claims and settlements",
    quick={"jobs": 300},
    full={"jobs": 6000},
    parts=17,
)
async def random_faults(stage: Stage) -> None:
    """Whatever is lost of settlements and the claims behind them, no worker runs more jobs than its slots."""
    actions: list[Any] = ["cut before", "cut after", "cut inside", "delay"]
    storm = Storm(stage.server.url, stage.dice, "claim", "settle", "enqueue", chance=0.1, actions=actions)
    lost = 0

    def loses(chunk: bytes) -> bool:
        nonlocal lost
        is_lost = stage.dice.random() < 0.02
        lost += is_lost
        return is_lost

    async with storm as proxy, Queue("default", proxy.url, namespace="chaos") as far:
        await staff(stage, lease=10, slots=SLOTS, url=proxy.url)
        proxy.loses = loses
        with quiet():
            await _enqueue_in_turns(stage, far)
        await stage.all_ended(110)
        proxy.loses = None
        stage.seen.add(LOST_REPLIES, lost + storm.lost_replies)
        stage.seen.add("faults", storm.faults)
    check_leases(stage, lease=10)
    if not stage.seen.counts[STARVED]:
        check_slots(stage, slots=SLOTS)


async def _enqueue_in_turns(stage: Stage, far: Queue) -> None:
    """Through the storm as well."""
    left = stage.number("jobs")
    while left > 0:
        batch = min(left, stage.dice.choice([1, 3, 30, 300]))
        naps = [Queue.prepare_data(jobs.nap, (stage.dice.choice([0, 0, 0, 0.01]),)) for _ in range(batch)]
        stage.acked += [job.id for job in await far.enqueue_many(naps)]
        left -= batch


# -- T46


@scenario(
    "T46",
    "one worker of two is parted from Redis for more than three leases",
    checks="I1 I2 I3 I4 I9 I10",
    quick={"partitions": 1, "jobs": 2},
    full={"partitions": 8, "jobs": 6},
    parts=7,
)
async def partition(stage: Stage) -> None:
    """The other takes its jobs over; its outcomes are refused, also those that arrive late."""
    async with Proxy(stage.server.url) as one, Proxy(stage.server.url) as other:
        proxies: dict[int, Proxy] = {}
        for proxy in (one, other):
            worker = await stage.fleet.spawn(concurrency=8, url=proxy.url).serving()
            proxies[worker.pid] = proxy
        for number in range(stage.number("partitions")):
            await _part(stage, proxies, str(stage.folder / f"door{number}"))


async def _part(stage: Stage, proxies: dict[int, Proxy], door: str) -> None:
    held = [await stage.enqueue(jobs.wait_at, door) for _ in range(stage.number("jobs"))]
    await wait_until(lambda: all(stage.ledger.starts_of(job.id) for job in held))
    away = stage.ledger.starts_of(held[0].id)[0].pid
    here = next(pid for pid in proxies if pid != away)
    mine = [job for job in held if stage.ledger.starts_of(job.id)[0].pid == away]
    proxy = proxies[away]
    ways = (proxy.requests, proxy.replies)
    for way in ways:
        way.is_silent = True
    jobs.open_door(door, away)  # it ends them while it is away, and tries to say so
    await wait_until(lambda: all(len(stage.ledger.starts_of(job.id)) == 2 for job in mine), timeout=20)
    await asyncio.sleep(stage.dice.uniform(1, 5))
    proxy.requests, proxy.replies = Way(), Way()
    stage.seen.add("partitions")
    stage.seen.add(ZOMBIES, len(mine))
    await wait_until(
        lambda: all(f"{job.id}: the lease was lost" in stage.fleet.of(away).output for job in mine),
        timeout=20,
        description="that the worker learns of its losses",
    )
    for job in mine:
        assert await job.get_status() == "started", "the outcome of a zombie was recorded"
    naps = [Queue.prepare_data(jobs.nap, (0.05,)) for _ in range(100)]
    stage.acked += [job.id for job in await stage.queue.enqueue_many(naps)]
    for way in ways:  # with TCP, what was sent into the silence may arrive after all that came later
        way.is_silent = False
    jobs.open_door(door, here)
    for job in held:
        await job.wait(30)
    await stage.all_ended()


# -- T47


@scenario(
    "T47",
    "the server's name leads to another address",
    quick={"moves": 1, "jobs": 3},
    full={"moves": 10, "jobs": 20},
    parts=2,
)
async def moved(stage: Stage) -> None:
    """As after a failover by DNS; in-process, where names are looked up as the test says."""
    async with Proxy(stage.server.url) as one, Proxy(stage.server.url) as other:
        here = one
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, str(stage.ledger.path))
            patch.setattr(socket, "getaddrinfo", lookup(lambda: here.port))
            far = Queue("default", f"redis://{NAME}:6379/0", namespace="chaos", trust_redis=True)
            async with working(far, lease=30, concurrency=4):
                for _ in range(stage.number("moves")):
                    naps = [await stage.enqueue(jobs.nap, 0.1) for _ in range(stage.number("jobs"))]
                    away, here = here, other if here is one else one
                    ways = silence(away, True, True) if stage.dice.random() < 0.5 else []
                    away.cut_all()
                    stage.seen.add("moves")
                    stage.acked.append((await far.enqueue(jobs.nap, 0)).id)
                    await asyncio.gather(*(job.wait(30) for job in naps))
                    for way in ways:
                        way.is_silent = False
                await stage.all_ended()
            await far.aclose()


#: A name that no resolver knows.
NAME = "redis.invalid"


def lookup(port: Callable[[], int]) -> Callable[..., Any]:
    """`socket.getaddrinfo` with one more name, which leads to a port of this machine."""
    real = socket.getaddrinfo

    def look(host: Any, service: Any, *args: Any, **options: Any) -> Any:
        if host in (NAME, NAME.encode()):
            host, service = "127.0.0.1", port()
        return real(host, service, *args, **options)

    return look
