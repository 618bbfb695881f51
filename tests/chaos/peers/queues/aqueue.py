"""aqueue itself."""

from __future__ import annotations

import asyncio
from typing import Any

from aqueue import Queue, Worker
from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted


class Aqueue(Adapter):
    async def open(self) -> None:
        self.queue = Queue("faults", connection=REDIS_URL)

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return await self.queue.enqueue(noted, number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        await handle.refresh()
        found: int | None = handle.result
        return found

    def work(self) -> None:
        asyncio.run(Worker(["faults"], connection=REDIS_URL, lease=LEASE).work())


ADAPTER = Aqueue()
