"""Enqueue and read back, through public names only."""

from __future__ import annotations

import asyncio

from aqueue import Job, Queue
from tests import tasks


async def test_an_enqueued_job_waits_with_its_arguments(queue: Queue) -> None:
    job = await queue.enqueue(tasks.add, 1, b=2)

    fetched = await Job.fetch(job.id)
    assert (fetched.status, fetched.origin, fetched.func_name) == ("queued", "default", "tests.tasks.add")
    assert (fetched.args, fetched.kwargs, fetched.func) == ((1,), {"b": 2}, tasks.add)
    assert fetched.description == "tests.tasks.add(1, b=2)"
    assert await queue.get_job_ids() == [job.id]


async def test_jobs_enqueued_at_once_all_wait_in_order(queue: Queue) -> None:
    jobs = await asyncio.gather(*(queue.enqueue(tasks.add, 1, number) for number in range(250)))

    assert await queue.get_job_ids() == [job.id for job in jobs]
