"""SAQ."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS

saq: Any = importlib.import_module("saq")


def from_keywords(job: Any) -> tuple[str, Any]:
    async def call(ctx: Any, *, args: Any) -> None:
        await job(*args)

    return job.__name__, call


class Saq(Adapter):
    async def open(self) -> None:
        self.queue = saq.Queue.from_url(REDIS_URL)

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        scheduled = {"scheduled": time.time() + delay} if delay else {}
        return await self.queue.enqueue(job, args=args, **scheduled)

    async def result(self, handle: Any) -> None:
        """Now and then it misses the end of a job that was too quick for it."""
        with contextlib.suppress(TimeoutError):
            await handle.refresh(until_complete=1)

    def work(self, setting: str) -> None:
        """Setting: the concurrency."""

        async def run() -> None:
            queue = saq.Queue.from_url(REDIS_URL)
            functions = [from_keywords(job) for job in JOBS.values()]
            await saq.Worker(queue, functions, concurrency=int(setting)).start()

        asyncio.run(run())


ADAPTER = Saq()
