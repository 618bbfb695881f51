"""Run one job where it is enqueued: a worker of its own, in the loop and the context of the caller."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aqueue._core.options import MAX_PRIORITY
from aqueue._core.outcome import Lease, Released
from aqueue._redis import lookups, operations
from aqueue._redis.coalescer import own_error
from aqueue._redis.operations import NewJob
from aqueue._redis.together import together
from aqueue.connection import Namespace
from aqueue.errors import AqueueError
from aqueue.jobs import Job
from aqueue.queue import Queue
from aqueue.worker.identity import FIRST_CLAIM
from aqueue.worker.run import LAST_CALL
from aqueue.worker.settings import RunLimits
from aqueue.worker.shield import finish
from aqueue.worker.worker import Worker


async def enqueue_and_run(queue: Queue, job: Job[Any], new: NewJob, options: Mapping[str, Any]) -> None:
    """Enqueue a job, claim it in the same step, so that no other worker gets it, and run it to its outcome.

    The job takes over what has become of it. In a paused queue it waits, ahead of all others, and a retry
    waits like any. Cancelling gives the job back to its queue.

    Args:
        options: Of the worker.

    Raises:
        DuplicateJobError, EnqueueUncertain, QueueUnavailable, QueueFull: As `Queue.enqueue`.
        Exception: What the worker's lifespan raised.
    """
    worker = Worker(queue, **options)
    claiming = asyncio.get_running_loop().create_task(_enqueue_and_claim(queue, new, worker))
    try:
        at_ms, word, lease = await asyncio.shield(claiming)
    except asyncio.CancelledError:  # it may be on its way: then nobody would run what it claims
        await finish(_take_back(queue.space, claiming))
        raise
    is_ours = lease is not None and lease.job_id == job.id and not word.startswith("duplicate")
    if lease is not None and not is_ours:  # the id is taken, and this was the first that waits
        await _give_back(queue.space, lease)
    job._stored(queue.name, at_ms, word)
    if lease is None or not is_ours:
        return
    try:
        await worker._work_as_guest(RunLimits(burst=True, max_jobs=1))
    except BaseException:  # maybe before the worker has begun: then nobody else knows of the lease
        await finish(_try_to_give_back(queue.space, lease))
        raise
    await _reread(job)


async def _enqueue_and_claim(queue: Queue, new: NewJob, worker: Worker) -> tuple[int, str, Lease | None]:
    """Redis' time, its word for the job, and what was claimed.

    The worker's first claim then repeats this one, as after a lost reply, and gets the same job again.
    """
    space = queue.space
    ahead_of_all = dataclasses.replace(new, priority=MAX_PRIORITY + 1)
    claim = operations.claim(
        space.keys,
        [queue.name],
        worker_id=worker.id,
        name=worker.name,
        nonce=FIRST_CLAIM,
        limit=1,
        lease_ms=worker.settings.lease_ms,
    )
    step = together(operations.enqueue(space.keys, queue.name, [ahead_of_all]), claim)
    try:
        stored, claimed = await space.client.read(step)
    except Exception as error:
        raise own_error(error, new.id) from error
    return stored.at_ms, stored.words[0], claimed.leases[0] if claimed.leases else None


async def _take_back(space: Namespace, claiming: asyncio.Task[tuple[int, str, Lease | None]]) -> None:
    """Give back what a call has claimed that nobody waits for any more; see `_try_to_give_back`."""
    with suppress(Exception):
        async with asyncio.timeout(LAST_CALL):
            _, _, lease = await claiming
        if lease is not None:
            await _try_to_give_back(space, lease)


async def _give_back(space: Namespace, lease: Lease) -> None:
    """Let others have the job; what is recorded of it already stays as it is."""
    await space.client.run(operations.settle(space.keys, [(lease, Released())]))


async def _try_to_give_back(space: Namespace, lease: Lease) -> None:
    """Without success, its lease brings the job back."""
    with suppress(AqueueError, TimeoutError):
        async with asyncio.timeout(LAST_CALL):
            await _give_back(space, lease)


async def _reread(job: Job[Any]) -> None:
    """Let the job be what it is by now; with `result_ttl=0` there is nothing left to know but its end."""
    space = job._space
    [found] = await space.client.read(lookups.snapshots(space.keys, [job.id]))
    if found is not None and found.record.gone:
        job._record = job._record.evolve(status=found.record.status)
    elif found is not None:
        job._renew(found)
