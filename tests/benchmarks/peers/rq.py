"""RQ, with its SimpleWorker: the one that forks no process for each job."""

from __future__ import annotations

import importlib
import time
from datetime import timedelta
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import SYNC_JOBS

redis: Any = importlib.import_module("redis")
rq: Any = importlib.import_module("rq")


class RQ(Adapter):
    has_bulk = True
    is_async = False

    async def open(self) -> None:
        self.redis = redis.Redis.from_url(REDIS_URL)
        self.queue = rq.Queue(connection=self.redis)

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        if delay:
            return self.queue.enqueue_in(timedelta(seconds=delay), SYNC_JOBS[job], *args)
        return self.queue.enqueue(SYNC_JOBS[job], *args)

    async def enqueue_many(self, job: str, count: int) -> None:
        self.queue.enqueue_many([rq.Queue.prepare_data(SYNC_JOBS[job], (1, 2)) for _ in range(count)])

    async def result(self, handle: Any) -> None:
        handle.latest_result(timeout=10)

    async def fetch_many(self, count: int) -> float:
        ids = self.queue.job_ids
        started = time.perf_counter()
        jobs = rq.job.Job.fetch_many(ids, connection=self.redis)
        elapsed = time.perf_counter() - started
        assert len(jobs) == count
        assert all(jobs)
        return elapsed

    def work(self, setting: str) -> None:
        """Setting: none."""
        worker = rq.SimpleWorker(["default"], connection=redis.Redis.from_url(REDIS_URL))
        worker.work(logging_level="WARNING", with_scheduler=False)


ADAPTER = RQ()
