"""docket (the distribution pydocket) with a short redelivery_timeout."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted

docket: Any = importlib.import_module("docket")


def connect() -> Any:
    made = docket.Docket(name="faults", url=REDIS_URL)
    made.register(noted)
    return made


class Docket(Adapter):
    async def open(self) -> None:
        self.docket = await connect().__aenter__()

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return await self.docket.add(noted)(number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        value: int | None = await handle.get_result(timeout=timedelta(seconds=5))
        return value

    def work(self) -> None:
        async def run() -> None:
            async with (
                connect() as opened,
                docket.Worker(
                    opened,
                    concurrency=50,
                    redelivery_timeout=timedelta(seconds=LEASE),
                    minimum_check_interval=timedelta(milliseconds=10),
                ) as worker,
            ):
                await worker.run_forever()

        asyncio.run(run())


ADAPTER = Docket()
