"""docket (the distribution pydocket)."""

from __future__ import annotations

import asyncio
import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS

docket: Any = importlib.import_module("docket")


def connect() -> Any:
    made = docket.Docket(name="bench", url=REDIS_URL)
    for job in JOBS.values():
        made.register(job)
    return made


class Docket(Adapter):
    has_bulk = True

    async def open(self) -> None:
        self.docket = await connect().__aenter__()

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        when = datetime.now(UTC) + timedelta(seconds=delay) if delay else None
        return await self.docket.add(JOBS[job], when)(*args)

    async def enqueue_many(self, job: str, count: int) -> None:
        await self.docket.add_many([self.docket.call(JOBS[job])(1, 2) for _ in range(count)])

    async def result(self, handle: Any) -> None:
        await handle.get_result(timeout=timedelta(seconds=10))

    def work(self, setting: str) -> None:
        """Setting: the concurrency, and after a colon minimum_check_interval, seconds (0.25 by default)."""
        concurrency, _, interval = setting.partition(":")
        checks = timedelta(seconds=float(interval or 0.25))

        async def run() -> None:
            async with (
                connect() as opened,
                docket.Worker(opened, concurrency=int(concurrency), minimum_check_interval=checks) as worker,
            ):
                await worker.run_forever()

        asyncio.run(run())


ADAPTER = Docket()
