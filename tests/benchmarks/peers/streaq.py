"""streaQ."""

from __future__ import annotations

import importlib
from contextlib import AsyncExitStack
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS

streaq: Any = importlib.import_module("streaq")


class Streaq(Adapter):
    has_bulk = True

    def connect(self, concurrency: int = 16) -> None:
        self.worker = streaq.Worker(redis_url=REDIS_URL, concurrency=concurrency)
        self.jobs = {job.__name__: self.worker.task(job) for job in JOBS.values()}

    async def open(self) -> None:
        self.connect()
        self.connection = AsyncExitStack()  # kept: a collected stack would close it
        await self.connection.enter_async_context(self.worker)

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        task = self.jobs[job].enqueue(*args)
        return await (task.start(delay=delay) if delay else task)

    async def enqueue_many(self, job: str, count: int) -> None:
        await self.worker.enqueue_many([self.jobs[job].enqueue(1, 2) for _ in range(count)])

    async def result(self, handle: Any) -> None:
        await handle.result(10)

    def work(self, setting: str) -> None:
        """Setting: the concurrency."""
        self.connect(int(setting))
        self.worker.run_sync()


ADAPTER = Streaq()
