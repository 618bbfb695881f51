"""Copies of a job speak for nobody, and copies of a worker for themselves: in forked children, say."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from aqueue import Queue, Worker
from aqueue._core.options import Executor
from aqueue.connection import Namespace
from tests.worker import process_jobs
from tests.worker.hands import burst, make_worker, record


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


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", [None, "web"])
def test_a_worker_that_was_made_before_a_fork_is_another_one_in_the_child(
    queue: Queue, name: str | None
) -> None:
    """With one id, a claim of the one would be answered with the jobs of the other."""
    worker = Worker([queue], name=name)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, f"{worker.id} {worker.name}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    found_id, found_name = os.read(reader, 100).decode().split()
    os.close(reader)
    os.close(writer)

    assert found_id != worker.id
    assert found_name == (name or found_id)


def test_a_worker_that_was_sent_to_another_process_is_another_one(queue: Queue) -> None:
    for name in (None, "web"):
        worker = Worker([queue, "low"], name=name)
        copy: Worker = pickle.loads(pickle.dumps(worker))

        assert copy.id != worker.id
        assert (copy.name, copy.queues) == (name or copy.id, worker.queues)


async def test_the_claims_of_a_worker_are_counted_on_when_it_works_again(
    queue: Queue, space: Namespace
) -> None:
    worker = make_worker(queue)
    claims: list[int] = []
    for _ in range(3):
        job = await queue.enqueue(process_jobs.add, 1, 2)
        await worker.work(burst=True)
        claims.append(int((await record(job, space)).token.split(":")[1]))

    assert claims == sorted(set(claims))
