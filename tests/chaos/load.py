"""A program that enqueues all the time, whatever happens to Redis, and knows in the end what is in."""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias

import pytest

from aqueue import EnqueueUncertain, Job, QueueFull, QueueUnavailable, Retry
from aqueue._redis import coalescer
from tests.chaos import jobs
from tests.chaos.scenario import Stage
from tests.chaos.seen import DUPLICATES, STARVED, Seen
from tests.support import wait_until

Errors: TypeAlias = tuple[type[Exception], ...]

#: Jobs that are enqueued at the same time, at most, and those that wait or run.
BATCH, BACKLOG = 10, 60
#: Slots of the workers: one has a single one, where a claim follows each settlement.
SLOTS = (8, 1)


async def staff(
    stage: Stage, *, lease: float = 1, slots: tuple[int, ...] = SLOTS, url: str | None = None
) -> None:
    """Workers of these many slots."""
    for worker in [stage.fleet.spawn(lease=lease, concurrency=count, url=url) for count in slots]:
        await worker.serving()


async def persist(
    stage: Stage, func: Callable[..., Any], *args: Any, bear: Errors = (), **options: Any
) -> None:
    """Enqueue once, through any outage.

    An error that says "not enqueued" is believed: the next try has another id, and the checker
    finds the first one if it is in all the same. `bear`: other errors that say so.
    """
    doubt: EnqueueUncertain | None = None
    refusals: Errors = (QueueUnavailable, QueueFull, *bear)
    while True:
        try:
            job: Job[Any] = await (
                stage.queue.enqueue(func, *args, **options) if doubt is None else doubt.retry()
            )
            stage.acked.append(job.id)
            return
        except EnqueueUncertain as error:
            doubt = error
            stage.seen.add("uncertain")
        except refusals:
            stage.seen.add("refused")
            await asyncio.sleep(stage.dice.uniform(0.05, 0.2))


@asynccontextmanager
async def load(
    stage: Stage, longest: float = 0.1, *, bear: Errors = (), **options: Any
) -> AsyncGenerator[None]:
    """Enqueue jobs of up to so many seconds as fast as they are done, until the block ends."""
    is_over = asyncio.Event()
    nap = functools.partial(_nap, stage, longest, bear=bear, **options)
    producing = asyncio.create_task(_produce(stage, nap, is_over))
    try:
        yield
    except BaseException:
        producing.cancel()
        raise
    is_over.set()
    await producing


async def _produce(stage: Stage, nap: Callable[[], Awaitable[None]], is_over: asyncio.Event) -> None:
    made, looked = len(stage.acked), len(stage.ledger.entries())
    done: set[str] = set()  # a job that is retried ends twice
    while not is_over.is_set():
        entries = stage.ledger.entries()
        done.update(entry.job_id for entry in entries[looked:] if entry.event == "end")
        looked = len(entries)
        room = min(BATCH, BACKLOG - (len(stage.acked) - made - len(done)))
        if room > 0:
            await asyncio.gather(*(nap() for _ in range(stage.dice.randint(1, room))))
        await asyncio.sleep(stage.dice.uniform(0, 0.03))


async def _nap(stage: Stage, longest: float, **options: Any) -> None:
    func = stage.dice.choice([jobs.nap, jobs.nap, jobs.nap_in_thread, jobs.stumble])
    retry = Retry(max=1, interval=stage.dice.choice([0, 0.1])) if func is jobs.stumble else None
    await persist(stage, func, stage.dice.uniform(0, longest), retry=retry, **options)


@contextmanager
def impatience(seconds: float) -> Generator[None]:
    """Programs that enqueue give up so soon; otherwise no outage of a test is long enough for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coalescer, "PATIENCE", seconds)
        yield


async def is_served(stage: Stage, **options: Any) -> None:
    """All workers are alive, and a job that is enqueued now ends soon."""
    assert all(worker.code is None for worker in stage.fleet.workers), "a worker has ended"
    job = await stage.enqueue(jobs.nap, 0, **options)
    await job.wait(60)


async def nothing_lives(stage: Stage) -> None:
    """Wait until no job waits or runs, whatever became of the others."""
    keys = stage.queue.space.keys
    names = [keys.registry(registry, "default") for registry in ("queue", "started", "scheduled")]
    with stage.server.client() as client:
        await wait_until(lambda: not client.exists(*names), timeout=60, description="the end of all jobs")


def check_leases(stage: Stage, *, lease: float = 1) -> None:
    """No running job was taken from its worker: Redis was away. On a machine that stood still it may be.

    A job whose claim's reply was lost, and which nobody runs yet, may be: the claim is repeated after
    pauses of up to two seconds, and so short a lease is over by then.
    """
    counts = Seen()
    records = stage.checker.check(stage.acked, counts)
    lost, taken = sum(record.lost for record in records.values()), counts.counts[DUPLICATES]
    stage.seen.add("lost before the start", lost - taken)
    if taken and stage.stalls.longest > lease / 4:
        stage.seen.add(STARVED, taken)
        return
    assert not taken, f"{taken} leases of running jobs were lost"


def check_slots(stage: Stage, *, slots: tuple[int, ...] = SLOTS) -> None:
    """No worker has ever run more jobs at the same time than it has slots."""
    if stage.seen.counts[STARVED]:
        return  # jobs that were cancelled have written no end
    running: Counter[int] = Counter()
    allowed = {worker.pid: count for worker, count in zip(stage.fleet.workers, slots, strict=True)}
    for entry in stage.ledger.entries():
        running[entry.pid] += 1 if entry.event == "start" else -1
        assert running[entry.pid] <= allowed[entry.pid], (
            f"{running[entry.pid]} jobs in {allowed[entry.pid]} slots"
        )
