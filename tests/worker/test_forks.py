"""A job that calls `os.fork()`: the copy may come out of the function, too, but it speaks for nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.options import Executor
from tests.worker import process_jobs
from tests.worker.hands import burst


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("function", "executor"),
    [
        (process_jobs.fork, "thread"),
        (process_jobs.fork, "process"),
        (process_jobs.fork_in_coroutine, None),
        (process_jobs.fork_in_coroutine, "process"),
    ],
)
async def test_the_copy_of_a_job_that_forks_ends_as_a_program_would_and_decides_nothing(
    queue: Queue, function: Callable[[str], Any], executor: Executor | None
) -> None:
    jobs = [
        await queue.enqueue(function, how, executor=executor, job_timeout=10)
        for how in ("exit", "raise", "return")
    ]
    last = await queue.enqueue(process_jobs.add, 1, 2, executor=executor)

    await burst(queue, concurrency=1, max_children=1)

    assert [await job.return_value() for job in jobs] == [3, 1, 0]
    assert await last.return_value() == 3
