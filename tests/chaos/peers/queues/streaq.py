"""streaQ with a short idle_timeout."""

from __future__ import annotations

import importlib
from contextlib import AsyncExitStack
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted

streaq: Any = importlib.import_module("streaq")


class Streaq(Adapter):
    def connect(self) -> None:
        self.worker = streaq.Worker(redis_url=REDIS_URL, concurrency=50, idle_timeout=LEASE)
        self.job = self.worker.task(noted, max_tries=5)

    async def open(self) -> None:
        self.connect()
        self.connection = AsyncExitStack()  # kept: a collected stack would close it
        await self.connection.enter_async_context(self.worker)

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return await self.job.enqueue(number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        found = await handle.result(5)
        value: int | None = found.result if found.success else None
        return value

    def work(self) -> None:
        self.connect()
        self.worker.run_sync()


ADAPTER = Streaq()
