"""What the tests of the commands do to a queue, each in a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aqueue import Job, Queue, Worker
from tests.cli import jobs
from tests.support import wait_until


def enqueue(queue: Queue, func: Callable[..., Any] | str, *args: Any, **options: Any) -> str:
    """Enqueue a job; its id."""
    return asyncio.run(queue.options(**options).enqueue(func, *args)).id


def make_failed(queue: Queue, *ids: str) -> None:
    """Let jobs of these ids fail."""

    async def fail_all() -> None:
        for job_id in ids:
            await queue.enqueue(jobs.fail, job_id=job_id)
        await Worker([queue]).work(burst=True)

    asyncio.run(fail_all())


def statuses(*ids: str) -> list[str | None]:
    """The statuses of jobs; None for one that is gone."""
    found = asyncio.run(Job.fetch_many(ids))
    return [None if job is None else str(job.status) for job in found]


def wait_for_status(job_id: str, status: str) -> None:
    """Wait until the job has this status."""

    async def wait() -> None:
        job = await Job.fetch(job_id)

        async def has_it() -> bool:
            return await job.get_status() == status

        await wait_until(has_it, description=f"job {job_id} {status}")

    asyncio.run(wait())
