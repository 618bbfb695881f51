"""A worker runs what is enqueued: the thin line through all rooms."""

from __future__ import annotations

from aqueue import Queue, Worker
from tests import tasks


async def test_a_worker_runs_coroutine_functions_and_plain_ones(queue: Queue) -> None:
    jobs = [await queue.enqueue(tasks.add, 1, 2), await queue.enqueue(tasks.say_hello, name="aqueue")]

    did_something = await Worker([queue]).work(burst=True)

    assert did_something
    assert [await job.wait(5) for job in jobs] == [3, "Hello, aqueue!"]


async def test_a_job_over_its_timeout_fails_though_others_of_its_claim_run_longer(queue: Queue) -> None:
    await queue.enqueue_many([Queue.prepare_data(tasks.add, (1, 2)) for _ in range(3)])
    job = await queue.enqueue(tasks.nap, 30, job_timeout=0.2)

    await Worker([queue]).work(burst=True)

    await job.refresh()
    assert job.is_failed
    assert job.exc_info is not None
    assert job.exc_info.splitlines()[-1].startswith("JobTimeout: ")


async def test_a_worker_s_default_timeout_holds_for_jobs_without_one(queue: Queue) -> None:
    short = await queue.enqueue(tasks.nap, 30)
    own = await queue.enqueue(tasks.nap, 0.3, job_timeout=180)

    await Worker([queue], default_timeout=0.1).work(burst=True)

    assert await short.get_status() == "failed"
    assert await own.get_status() == "finished"
