"""aqueue itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aqueue import Job, Queue, Worker
from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS, sync_noop

ALL: dict[str, Any] = {**JOBS, "sync_noop": sync_noop}


class Aqueue(Adapter):
    has_bulk = True

    async def open(self) -> None:
        self.queue = Queue("bench", connection=REDIS_URL)

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        if delay:
            return await self.queue.enqueue_in(delay, ALL[job], *args)
        return await self.queue.enqueue(ALL[job], *args)

    async def enqueue_many(self, job: str, count: int) -> None:
        await self.queue.enqueue_many([Queue.prepare_data(ALL[job], (1, 2)) for _ in range(count)])

    async def result(self, handle: Any) -> None:
        await handle.wait(timeout=10)

    async def fetch_many(self, count: int) -> float:
        ids = await self.queue.get_job_ids()
        started = time.perf_counter()
        jobs = await Job.fetch_many(ids, REDIS_URL)
        elapsed = time.perf_counter() - started
        assert len(jobs) == count
        assert all(jobs)
        return elapsed

    def work(self, setting: str) -> None:
        """Setting: the concurrency."""
        asyncio.run(Worker(["bench"], connection=REDIS_URL, concurrency=int(setting)).work())


ADAPTER = Aqueue()
