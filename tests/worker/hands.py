"""Short ways to a worker and to what Redis holds."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aqueue import Job, Queue, Worker
from aqueue._core.names import new_nonce
from aqueue._core.record import JobRecord
from aqueue._redis import lookups, operations
from aqueue._redis.scripts import Argument
from aqueue.connection import Namespace
from tests.support import wait_until


def make_worker(
    queues: Queue | Iterable[Queue | str],
    *,
    cleanup: float = 0.2,
    farewell: float = 5.0,
    grace: float = 5.0,
    **options: Any,
) -> Worker:
    """A worker that does not wait for long."""
    worker = Worker(queues, grace=grace, **options)
    worker.settings = dataclasses.replace(worker.settings, cleanup=cleanup, farewell=farewell)
    return worker


@asynccontextmanager
async def working(queues: Queue | Iterable[Queue | str], **options: Any) -> AsyncGenerator[Worker]:
    """A worker that runs during the block."""
    async with make_worker(queues, **options).running() as worker:
        yield worker


async def burst(queues: Queue | Iterable[Queue | str], **options: Any) -> bool:
    """Let a worker do what there is to do."""
    return await make_worker(queues, **options).work(burst=True)


async def record(job: Job[Any] | str, space: Namespace) -> JobRecord:
    """The job's record as it is stored now."""
    job_id = job if isinstance(job, str) else job.id
    [found] = await space.client.read(lookups.snapshots(space.keys, [job_id]))
    assert found is not None, f"no record of {job_id}"
    return found.record


async def status(job: Job[Any]) -> str:
    return str(await job.get_status())


async def last_line(job: Job[Any]) -> str:
    """The last line of a failed job's traceback."""
    await job.refresh()
    assert job.is_failed, job.status
    assert job.exc_info is not None
    return job.exc_info.splitlines()[-1]


async def recover(
    space: Namespace, *, lease_ms: int = 30_000, queues: tuple[str, ...] = ("default",)
) -> None:
    """Take back what has expired, as another worker's maintenance does, while somebody beats."""
    recovered = operations.recover(space.keys, queues, lease_ms=lease_ms)
    [*_, reply] = await atomically(space, ("DEL", space.keys.hold), recovered)
    assert recovered.decode(reply).jobs


async def take_away(
    space: Namespace, job: Job[Any], *, to: str | None = None, queue: str = "default", lease_ms: int = 30_000
) -> None:
    """Let a job's lease pass and recover it, in one step; `to`: another worker claims it in the same step.

    No other job may wait in the queue then.
    """
    steps: list[operations.Operation[Any] | tuple[Argument, ...]] = [
        ("ZADD", space.keys.registry("started", queue), 1, job.id),
        ("DEL", space.keys.hold),
        operations.recover(space.keys, [queue], lease_ms=lease_ms),
    ]
    if to is not None:
        claim = operations.claim(
            space.keys, [queue], worker_id=to, name=to, nonce=new_nonce(), limit=1, lease_ms=lease_ms
        )
        steps.append(claim)
    await atomically(space, *steps)
    if to is None:
        return
    assert (await record(job, space)).token.startswith(f"{to}:")


async def atomically(space: Namespace, *steps: operations.Operation[Any] | tuple[Argument, ...]) -> list[Any]:
    """Run scripts and commands as one transaction; their replies."""
    commands: list[tuple[Argument, ...]] = []
    scripts: list[tuple[Argument, ...]] = []
    for step in steps:
        if isinstance(step, operations.Operation):
            scripts.append(("SCRIPT", "LOAD", step.script.text))
            commands.append(("EVALSHA", step.script.sha, len(step.keys), *step.keys, *step.args))
        else:
            commands.append(step)
    every = [*scripts, ("MULTI",), *commands, ("EXEC",)]
    return await space.client.read(operations.Lookup(every, lambda replies: list(replies[-1])))


async def is_serving(worker: Worker) -> bool:
    """Whether its record says so."""
    [found] = await worker.space.client.read(lookups.workers(worker.space.keys, [worker.id]))
    return bool(found)


async def start(worker: Worker) -> asyncio.Task[bool]:
    task = asyncio.create_task(worker.work())
    await wait_until(lambda: is_serving(worker))
    return task
