"""`run_burst`: a real worker, in the loop of the test, until nothing is left to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from aqueue import JobFailed, JobTimeout, Queue, Retry, Worker, get_current_job
from aqueue.testing import run_burst
from tests.tasks import add, div_by_zero, nap, say_hello


async def countdown(n: int) -> None:
    if n:
        await Queue().enqueue(countdown, n - 1)


async def what_is_shared() -> str:
    job = get_current_job()
    assert job is not None
    return str(job.state)


async def test_it_runs_all_that_waits_and_tells_of_it(queue: Queue) -> None:
    first = await queue.enqueue(add, 1, 2)
    second = await queue.enqueue(say_hello, "Ada")
    report = await run_burst(queue)

    assert (report.finished, report.failed, report.retried) == (2, 0, 0)
    assert set(report.jobs) == {first, second}
    assert {job.result for job in report.jobs} == {3, "Hello, Ada!"}


async def test_it_runs_what_jobs_enqueue(queue: Queue) -> None:
    await queue.enqueue(countdown, 3)

    assert (await run_burst(queue)).finished == 4


async def test_an_empty_queue_is_no_trouble(queue: Queue) -> None:
    report = await run_burst(queue)

    assert (report.finished, report.failed, report.jobs) == (0, 0, [])


async def test_it_raises_the_first_job_s_error_with_its_traceback(queue: Queue) -> None:
    job = await queue.enqueue(div_by_zero, 1)
    other = await queue.enqueue(add, 1, 2)
    with pytest.raises(JobFailed, match="ZeroDivisionError: division by zero") as caught:
        await run_burst(queue)

    assert caught.value.job_id == job.id
    assert "return x / 0" in caught.value.__notes__[0]
    assert await other.get_status() == "finished"


async def test_it_tells_a_timeout_from_other_failures(queue: Queue) -> None:
    await queue.enqueue(nap, 30, job_timeout="10ms")
    with pytest.raises(JobTimeout):
        await run_burst(queue)


async def test_it_only_reports_failures_when_asked_to(queue: Queue) -> None:
    job = await queue.enqueue(div_by_zero, 1)
    report = await run_burst(queue, raise_on_failure=False)

    assert (report.finished, report.failed, report.jobs) == (0, 1, [job])
    assert report.jobs[0].is_failed


async def test_a_retry_is_no_failure_before_the_last(queue: Queue) -> None:
    await queue.enqueue(div_by_zero, 1, retry=Retry(max=2))
    report = await run_burst(queue, raise_on_failure=False)

    assert (report.retried, report.failed, len(report.jobs)) == (2, 1, 1)


async def test_a_retry_that_has_to_wait_is_left(queue: Queue) -> None:
    job = await queue.enqueue(div_by_zero, 1, retry=Retry(max=1, interval="1h"))
    report = await run_burst(queue)

    assert (report.retried, report.failed) == (1, 0)
    assert await job.get_status() == "scheduled"


async def test_a_function_that_does_not_exist_is_an_error(queue: Queue) -> None:
    job = await queue.enqueue("tests.tasks.nonsense", 1)
    with pytest.raises(JobFailed, match=r"no tests\.tasks\.nonsense here") as caught:
        await run_burst(queue)

    assert caught.value.job_id == job.id


async def test_jobs_of_which_nothing_is_kept_are_counted_only(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2, result_ttl=0)
    report = await run_burst(queue)

    assert (report.finished, report.jobs) == (1, [])


async def test_it_takes_several_queues_or_a_worker(url: str) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[str]:
        yield "shared"

    await Queue("high").enqueue(add, 1, 2)
    await Queue("low").enqueue(add, 1, 2)
    assert (await run_burst(["high", Queue("low")])).finished == 2

    await Queue().enqueue(what_is_shared)
    worker = Worker("default", lifespan=lifespan)
    report = await run_burst(worker)
    assert report.jobs[0].result == "shared"


async def test_cancelling_it_gives_the_jobs_back(queue: Queue) -> None:
    job = await queue.enqueue(nap, 60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await run_burst(queue)

    assert await job.get_status() == "queued"
