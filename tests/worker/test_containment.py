"""What a child task of a job raises is that job's affair: it ends neither the loop nor the other jobs."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from aqueue import Queue
from tests import tasks
from tests.worker import jobs
from tests.worker.hands import burst, last_line, working
from tests.worker.jobs import Probe


@pytest.mark.parametrize(
    ("kind", "line"), [("exit", "raised SystemExit: 3"), ("interrupt", "raised KeyboardInterrupt: ")]
)
async def test_an_exit_in_a_child_task_fails_its_job_alone(
    queue: Queue, probe: Probe, probe_name: str, kind: str, line: str
) -> None:
    async with working(queue):
        neighbour = await queue.enqueue(jobs.hold, probe_name, "to the end")
        job = await queue.enqueue(jobs.raise_in_child_task, kind)
        await queue.enqueue(tasks.add, 1, 2)
        with pytest.raises(Exception, match="a child task of job"):
            await job.wait(10)
        probe.open()
        assert await neighbour.wait(10) == "to the end"

    assert (await last_line(job)).strip() == f"RuntimeError: a child task of job '{job.id}' {line}".strip()
    assert job.exc_info is not None
    assert "in child" in job.exc_info


async def test_child_tasks_are_themselves_in_everything_else(queue: Queue) -> None:
    job = await queue.enqueue(jobs.cancel_a_new_child_task, "")
    await burst(queue)

    assert await job.wait(0) == "mine cancel_a_new_child_task.<locals>.child"


async def test_the_loop_gets_its_task_factory_back(queue: Queue) -> None:
    loop = asyncio.get_running_loop()
    made: list[Any] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    try:
        job = await queue.enqueue(jobs.raise_in_child_task, "base")
        await burst(queue)
        assert loop.get_task_factory() is factory
    finally:
        loop.set_task_factory(None)

    assert "OwnBaseError: from the base" in await last_line(job)
    assert any(getattr(each, "__qualname__", "").endswith("child") for each in made)


async def test_tasks_outside_of_jobs_stay_as_they_are(queue: Queue) -> None:
    async def plain() -> int:
        return 1

    async with working(queue):
        coroutine = plain()
        task = asyncio.create_task(coroutine, context=contextvars.Context())
        assert task.get_coro() is coroutine
        assert await task == 1
