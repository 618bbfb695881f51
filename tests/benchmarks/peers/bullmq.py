"""BullMQ's port to Python."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS

bullmq: Any = importlib.import_module("bullmq")
OPTIONS = {"connection": REDIS_URL}


class BullMQ(Adapter):
    has_bulk = True

    async def open(self) -> None:
        self.queue = bullmq.Queue("bench", OPTIONS)
        self.events: Any = None
        self.done: set[str] = set()
        self.news = asyncio.Event()

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        return await self.queue.add(job, args, {"delay": int(delay * 1000)} if delay else {})

    async def enqueue_many(self, job: str, count: int) -> None:
        await self.queue.addBulk([{"name": job, "data": (1, 2)} for _ in range(count)])

    async def result(self, handle: Any) -> None:
        """It has no waitUntilFinished: follow the stream of events, as that does elsewhere."""
        if self.events is None:
            self.events = bullmq.QueueEvents("bench", OPTIONS)
            self.events.on("completed", self._completed)
            await asyncio.sleep(0.5)
            return
        async with asyncio.timeout(10):
            while handle.id not in self.done:
                self.news.clear()
                await self.news.wait()

    def _completed(self, event: Any, *_: Any) -> None:
        self.done.add(event["jobId"])
        self.news.set()

    def work(self, setting: str) -> None:
        """Setting: the concurrency."""

        async def process(job: Any, token: str) -> None:
            await JOBS[job.name](*job.data)

        async def run() -> None:
            worker = bullmq.Worker("bench", process, {**OPTIONS, "concurrency": int(setting)})
            await asyncio.Event().wait()
            del worker

        asyncio.run(run())


ADAPTER = BullMQ()
