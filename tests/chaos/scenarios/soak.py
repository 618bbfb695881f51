"""T90: a day of leases without faults, in parts.

All parts of one seed are 48 minutes, 1,440 leases of two seconds. To run them:
`python -m tests.chaos run --scale full --only T90`. The same with faults is T89.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aqueue import AqueueError, Queue, Retry
from tests.chaos import jobs
from tests.chaos.load import check_leases
from tests.chaos.procs import WorkerProc
from tests.chaos.scenario import Stage, scenario

#: Kilobytes by which a worker may grow within the second half of a part.
GROWTH = 6000


async def enqueue_mixed(stage: Stage, queue: Queue) -> None:
    """One job of any kind."""
    func: Callable[..., Any] = stage.dice.choice([jobs.nap, jobs.nap, jobs.nap_in_thread, jobs.stumble])
    options: dict[str, Any] = {"retry": Retry(max=1, interval=[0.2])} if func is jobs.stumble else {}
    options |= stage.dice.choice([{}, {"priority": 5}, {"at_front": True}, {"ttl": 600}, {"meta": {"a": 1}}])
    if func is jobs.nap_in_thread and stage.dice.random() < 0.2:
        options["executor"] = "process"
    seconds = stage.dice.choice([0, 0.01, 0.1, 1.5])
    if stage.dice.random() < 0.2:
        job = await queue.enqueue_in(stage.dice.uniform(0.1, 2), func, seconds, **options)
    else:
        job = await queue.enqueue(func, seconds, **options)
    stage.acked.append(job.id)
    if stage.dice.random() < 0.1:
        stage.waits.add(job)
    if stage.dice.random() < 0.05:
        try:
            await job.cancel()
        except AqueueError:
            pass  # it has ended


async def _produce(stage: Stage, queue: Queue, end: float) -> None:
    while time.monotonic() < end:
        await enqueue_mixed(stage, queue)
        await asyncio.sleep(stage.dice.uniform(0, 0.05))


@scenario(
    "T90",
    "half a day of leases: mixed jobs, and no fault",
    checks="I1 I2 I3 I4 I5 I7 I10",
    quick={"seconds": 5, "workers": 2},
    full={"seconds": 90, "workers": 3},
    parts=32,
)
async def quiet_soak(stage: Stage) -> None:
    """No lease is lost, and no worker grows."""
    workers = [stage.fleet.spawn(lease=2, concurrency=8) for _ in range(stage.number("workers"))]
    for worker in workers:
        await worker.serving()
    seconds = stage.number("seconds")
    await _produce(stage, stage.queue, time.monotonic() + seconds / 2)
    before = [resident(worker) for worker in workers]
    await _produce(stage, stage.queue, time.monotonic() + seconds / 2)
    await stage.all_ended(60)
    check_leases(stage, lease=2)
    grown = max(resident(worker) - then for worker, then in zip(workers, before, strict=True))
    assert grown < GROWTH, f"a worker grew by {grown:,} KiB in {seconds / 2:g} s"


def resident(worker: WorkerProc) -> int:
    """Kilobytes that the process holds."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
