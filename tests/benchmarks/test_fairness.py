"""Several workers on one queue share its jobs: by counting, not by the clock."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from aqueue import Queue
from tests import tasks
from tests.support import wait_until
from tests.worker.hands import working


@pytest.mark.parametrize("concurrency", [10, 100])
async def test_no_worker_starves_beside_three_others(queue: Queue, concurrency: int) -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(working(queue, concurrency=concurrency)) for _ in range(4)]
        await queue.enqueue_many(Queue.prepare_data(tasks.nap, (0.005,)) for _ in range(1_000))
        await wait_until(lambda: sum(worker.successful_job_count for worker in workers) == 1_000)

    shares = [worker.successful_job_count for worker in workers]
    assert min(shares) >= 100, shares
