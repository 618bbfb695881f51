"""SAQ: jobs with a timeout and retries, a sweep each second."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted

saq: Any = importlib.import_module("saq")


async def call(ctx: Any, *, number: int, seconds: float, how: str) -> int:
    return await noted(number, seconds, how)


class Saq(Adapter):
    async def open(self) -> None:
        self.queue = saq.Queue.from_url(REDIS_URL)

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        # A job is swept when it has run for its timeout, so that must be longer than it may run.
        timeout = max(LEASE, int(seconds * 2))
        return await self.queue.enqueue(
            "noted", number=number, seconds=seconds, how=how, timeout=timeout, retries=5, ttl=0
        )

    async def result(self, handle: Any) -> int | None:
        await handle.refresh()
        found: int | None = handle.result
        return found

    def work(self) -> None:
        async def run() -> None:
            queue = saq.Queue.from_url(REDIS_URL)
            timers = {"sweep": 1, "schedule": 1}
            await saq.Worker(queue, [("noted", call)], concurrency=100, timers=timers).start()

        asyncio.run(run())


ADAPTER = Saq()
