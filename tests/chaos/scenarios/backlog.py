"""T80 to T82, T88, T95: large backlogs, floods, and what is done to a queue while it works."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aqueue import InvalidJobOperation, Queue
from aqueue._core.names import new_nonce
from aqueue._core.outcome import Finished, Outcome
from aqueue._redis import operations
from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import without_aof
from tests.support import age, wait_until

#: How much longer something may take with a large backlog than with a small one, on a busy machine.
FACTOR, SLACK = 3.0, 0.005


async def fill(stage: Stage, count: int, queue: Queue | None = None) -> list[str]:
    """Enqueue so many short jobs."""
    made: list[str] = []
    while len(made) < count:
        batch = [Queue.prepare_data(jobs.nap, (0,)) for _ in range(min(5000, count - len(made)))]
        made += [job.id for job in await (queue or stage.queue).enqueue_many(batch)]
    return made


async def claim(stage: Stage, limit: int, worker: str = "w") -> Sequence[Any]:
    operation = operations.claim(
        stage.queue.space.keys, ["default"], worker_id=worker, name=worker, nonce=new_nonce(), limit=limit,
        lease_ms=60_000,
    )  # fmt: skip
    return (await stage.queue.space.client.run(operation)).leases


async def time_claims(stage: Stage) -> float:
    """The median of a claim and the settlement of its jobs, seconds."""
    times: list[float] = []
    for _ in range(50):
        began = time.perf_counter()
        leases = await claim(stage, 10)
        ended: list[tuple[Any, Outcome]] = [(lease, Finished(None)) for lease in leases]
        await stage.queue.space.client.run(operations.settle(stage.queue.space.keys, ended))
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def flush(stage: Stage) -> None:
    with stage.server.client() as db:
        db.execute_command("FLUSHALL")  # pyright: ignore[reportUnknownMemberType]


@scenario(
    "T80",
    "a large backlog is claimed as fast as a small one, and drained",
    checks="I1 I2 I3 I4 I5 I6 I10",
    quick={"backlog": 15_000, "drained": 1500},
    full={"backlog": 400_000, "drained": 40_000},
    parts=3,
    server=without_aof,
)
async def backlog(stage: Stage) -> None:
    await fill(stage, 1000)
    small = await time_claims(stage)
    await fill(stage, stage.number("backlog"))
    large = await time_claims(stage)
    assert large <= FACTOR * small + SLACK, f"{large * 1000:.1f} ms instead of {small * 1000:.1f} ms"
    stage.seen.add("backlog", stage.number("backlog"))
    flush(stage)
    stage.acked += await fill(stage, stage.number("drained"))
    for worker in [stage.fleet.spawn(lease=10, concurrency=100) for _ in range(2)]:
        await worker.serving()
    await stage.all_ended(110)


@scenario(
    "T81",
    "many scheduled jobs are due at the same moment",
    checks="I1 I2 I3 I4 I10",
    quick={"jobs": 1500},
    full={"jobs": 30_000},
    parts=3,
    server=without_aof,
)
async def due_at_once(stage: Stage) -> None:
    for _ in range(0, stage.number("jobs"), 500):
        made = await asyncio.gather(*(stage.queue.enqueue_in(3600, jobs.nap, 0) for _ in range(500)))
        stage.acked += [job.id for job in made]
    for worker in [stage.fleet.spawn(lease=10, concurrency=100) for _ in range(2)]:
        await worker.serving()
    await age(stage.queue.space, seconds=3700)
    await stage.all_ended(110)


@scenario(
    "T82",
    "a flood of producers, one worker",
    checks="I1 I2 I3 I4 I10",
    quick={"producers": 20, "each": 60},
    full={"producers": 20, "each": 1500},
    parts=4,
    server=without_aof,
)
async def flood(stage: Stage) -> None:
    await stage.fleet.spawn(lease=10, concurrency=100).serving()
    await asyncio.gather(*(_produce(stage, f"p{number}") for number in range(stage.number("producers"))))
    await stage.all_ended(110)


async def _produce(stage: Stage, name: str) -> None:
    """With a connection of its own."""
    url = f"{stage.server.url}?client_name={name}"
    async with Queue("default", url, namespace="chaos") as queue:
        for _ in range(stage.number("each")):
            stage.acked.append((await queue.enqueue(jobs.nap, 0)).id)


@scenario(
    "T88",
    "a queue is paused, emptied and deleted during work",
    checks="I2 I3 I4 I10",
    quick={"turns": 25},
    full={"turns": 600},
    parts=3,
    server=without_aof,
)
async def intervened(stage: Stage) -> None:
    for worker in [stage.fleet.spawn(lease=10, concurrency=slots) for slots in (1, 8)]:
        await worker.serving()
    for _ in range(stage.number("turns")):
        match stage.dice.choice(["fill", "fill", "fill", "pause", "resume", "empty", "delete"]):
            case "fill":
                await fill(stage, stage.dice.choice([1, 10, 300]))
            case "pause":
                await stage.queue.pause()
            case "resume":
                await stage.queue.resume()
            case "empty":
                await stage.queue.empty()
            case _:
                with suppress(InvalidJobOperation):  # something runs
                    await stage.queue.delete()
        stage.seen.add("turns")
        await asyncio.sleep(stage.dice.uniform(0, 0.05))
    await stage.queue.resume()
    stage.acked += await fill(stage, 20)
    await wait_until(lambda: _is_idle(stage), timeout=60)
    db: Any
    with stage.server.client() as db:
        prefix = stage.queue.space.keys.job("")
        found = [key.decode() for key in db.scan_iter(match=prefix + "*", count=1000)]
        stage.acked[:] = [name.removeprefix(prefix) for name in found]


async def _is_idle(stage: Stage) -> bool:
    return await stage.queue.count() + await stage.queue.started_job_registry.count() == 0


@scenario(
    "T95",
    "the latency of one queue with a backlog in another",
    checks="",
    quick={"backlog": 5000, "probes": 30},
    full={"backlog": 200_000, "probes": 300},
    parts=3,
    server=without_aof,
)
async def latency(stage: Stage) -> None:
    """From the enqueue to the first line of the job."""
    await stage.fleet.spawn(lease=10, concurrency=8).serving()
    alone = await _latency(stage)
    await fill(stage, stage.number("backlog"), Queue("other", stage.server.url, namespace="chaos"))
    beside = await _latency(stage)
    stage.seen.add("latency_us", round(beside * 1_000_000))
    assert beside <= FACTOR * alone + SLACK, f"{beside * 1000:.1f} ms instead of {alone * 1000:.1f} ms"


async def _latency(stage: Stage) -> float:
    times: list[float] = []
    for _ in range(stage.number("probes")):
        began = time.monotonic()
        job = await stage.queue.enqueue(jobs.nap, 0)
        await job.wait(30)
        times.append(stage.ledger.starts_of(job.id)[0].at - began)
    return statistics.median(times)
