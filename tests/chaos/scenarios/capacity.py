"""T91, T92: what each call leaves behind, and workers that hardly get the processor."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager

from aqueue import Queue
from tests.api import jobs as api_jobs
from tests.api.admin import admin
from tests.api.test_cancelling import Call, calls
from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import without_aof
from tests.chaos.seen import STARVED


def single(stage: Stage, lease: float) -> None:
    """Every job was started once; on a machine that stood still a lease may be lost."""
    starts = stage.ledger.starts()
    again = [job_id for job_id, count in starts.items() if count > 1]
    if again and stage.stalls.longest > lease / 4:
        stage.seen.add(STARVED, len(again))
        return
    assert not again, f"{len(again)} jobs were started again"


@scenario(
    "T91",
    "no call leaves memory or keys behind",
    checks="",
    quick={"rounds": 12},
    full={"rounds": 1500},
    parts=2,
    server=without_aof,
)
async def leaks(stage: Stage) -> None:
    """Every call of the public interface, many times, with the memory of this process counted."""
    with admin(stage.server) as db:
        async with Queue(connection=stage.server.url) as queue:
            named = calls(queue, stage.server.url)
            every = [call for name, call in named.items() if not name.startswith("wait")]
            await queue.enqueue(api_jobs.nothing, job_id="steady")

            async def rounds(count: int) -> None:
                for _ in range(count):
                    await asyncio.gather(*(_call(call) for call in every))
                    stage.seen.add("calls", len(every))
                db.flushall()

            tracemalloc.start()
            try:
                await rounds(4)
                gc.collect()
                before, _ = tracemalloc.get_traced_memory()
                await rounds(stage.number("rounds"))
                gc.collect()
                grown = tracemalloc.get_traced_memory()[0] - before
            finally:
                tracemalloc.stop()
    made = stage.number("rounds") * len(every)
    assert grown < 300_000 + made, f"{grown:,} bytes are left of {made:,} calls"
    stage.seen.add("bytes_left", max(0, grown))


async def _call(call: Call) -> None:
    try:
        async with asyncio.timeout(5):
            await call()
    except Exception:
        pass  # some find nothing, or what another one has done


def _spin() -> None:
    while True:
        pass


@contextmanager
def competitors() -> Generator[None]:
    """A busy process for each processor."""
    context = multiprocessing.get_context("spawn")
    spinning = [context.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() or 1)]
    for each in spinning:
        each.start()
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.join()


@scenario(
    "T92",
    "a worker hardly gets the processor",
    quick={"jobs": 20, "seconds": 6},
    full={"jobs": 300, "seconds": 20},
    parts=3,
)
async def starved(stage: Stage) -> None:
    """At the lowest priority, with a busy process on each processor: leases of 5 s are kept."""
    worker = await stage.fleet.spawn(lease=5, concurrency=50).serving()
    os.setpriority(os.PRIO_PROCESS, worker.pid, 19)
    with competitors():
        for _ in range(stage.number("jobs")):
            await stage.enqueue(jobs.nap, stage.dice.uniform(0, stage.number("seconds")))
        await stage.all_ended(110)
    single(stage, 5)
