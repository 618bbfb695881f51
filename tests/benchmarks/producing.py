"""What a producer's process measures: each function takes an adapter and returns numbers."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.benchmarks.adapter import Adapter
from tests.benchmarks.jobs import LOG

Numbers = dict[str, float]

ENQUEUERS = 100
#: Jobs per call of `enqueue_many` while a backlog is made.
CHUNK = 10_000
#: Of the jobs of a steady stream, each so manieth is waited for.
WAITED_FOR = 20


async def enqueue_one(peer: Adapter, count: int, **options: Any) -> Numbers:
    """One awaited enqueue after another."""
    started = time.perf_counter()
    for _ in range(count):
        await peer.enqueue("noop", 1, 2)
    return {"rate": count / (time.perf_counter() - started)}


async def enqueue_100(
    peer: Adapter, count: int, job: str = "noop", delay: float | None = None, **options: Any
) -> Numbers:
    """A hundred enqueuers at the same time."""

    async def enqueuer(share: int) -> None:
        for _ in range(share):
            await peer.enqueue(job, 1, 2, delay=delay)

    enqueuers = ENQUEUERS if peer.is_async else 1
    started = time.perf_counter()
    await asyncio.gather(*(enqueuer(count // enqueuers) for _ in range(enqueuers)))
    return {"rate": count / (time.perf_counter() - started)}


async def enqueue_bulk(peer: Adapter, count: int, job: str = "noop", **options: Any) -> Numbers:
    """The queue's own call for many jobs."""
    started = time.perf_counter()
    await peer.enqueue_many(job, count)
    return {"rate": count / (time.perf_counter() - started)}


async def fill(
    peer: Adapter, count: int, job: str = "noop", delay: float | None = None, **options: Any
) -> Numbers:
    """Make a backlog in the quickest way."""
    if not peer.has_bulk or delay:
        return await enqueue_100(peer, count, job, delay)
    for first in range(0, count, CHUNK):
        await peer.enqueue_many(job, min(CHUNK, count - first))
    return {}


async def latency(peer: Adapter, count: int, **options: Any) -> Numbers:
    """From the enqueue to the first line of the job, with nothing else to do.

    A random pause keeps the samples off any rhythm of polls.
    """
    for done in range(1, count + 1):
        await peer.enqueue("stamp", time.time())
        await _logged(done)
        await asyncio.sleep(random.uniform(0.004, 0.012))
    return quantiles(_noted(count))


async def round_trip(peer: Adapter, count: int, **options: Any) -> Numbers:
    """From the enqueue to the result."""
    await peer.result(await peer.enqueue("noop", 1, 2))  # connections are made
    samples: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        await peer.result(await peer.enqueue("noop", 1, 2))
        samples.append(time.perf_counter() - started)
    return quantiles(samples)


async def steady(peer: Adapter, count: int, **options: Any) -> Numbers:
    """Latency and round trip under 1,000 jobs a second, whoever waits for what."""
    trips: list[float] = []

    async def one(number: int) -> None:
        started = time.perf_counter()
        handle = await peer.enqueue("stamp", time.time())
        if number % WAITED_FOR == 0:
            await peer.result(handle)
            trips.append(time.perf_counter() - started)

    await peer.result(await peer.enqueue("stamp", time.time()))
    began = time.perf_counter()
    tasks: list[asyncio.Task[None]] = []
    while len(tasks) < count:
        due = min(count, int((time.perf_counter() - began) * 1000))
        tasks += [asyncio.ensure_future(one(number)) for number in range(len(tasks), due)]
        await asyncio.sleep(0.0005)
    await asyncio.gather(*tasks)
    await _logged(count + 1)
    warm = count // 10
    trip = quantiles(trips[len(trips) // 10 :])
    return {**quantiles(_noted(count + 1)[warm:]), **{f"trip_{name}": trip[name] for name in trip}}


async def fetch_many(peer: Adapter, count: int, **options: Any) -> Numbers:
    """Read queued jobs by their ids."""
    await peer.enqueue_many("noop", count)
    return {"rate": count / await peer.fetch_many(count)}


async def _logged(count: int, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while os.fstat(LOG).st_size < count * 8:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{os.fstat(LOG).st_size // 8} of {count} jobs have run")
        await asyncio.sleep(0.001)


def _noted(count: int) -> tuple[float, ...]:
    return struct.unpack(f"{count}d", os.pread(LOG, count * 8, 0))


def quantiles(samples: Sequence[float]) -> Numbers:
    """Milliseconds of seconds."""
    ordered = sorted(sample * 1000 for sample in samples)
    return {"p50": ordered[len(ordered) // 2], "p99": ordered[int(len(ordered) * 0.99)], "max": ordered[-1]}


MEASURES: dict[str, Callable[..., Awaitable[Numbers]]] = {
    measure.__name__: measure
    for measure in (
        enqueue_one, enqueue_100, enqueue_bulk, fill, latency, round_trip, steady, fetch_many,
    )
}  # fmt: skip
