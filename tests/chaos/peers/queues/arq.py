"""arq: a job is lost ten seconds after its job_timeout."""

from __future__ import annotations

import importlib
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted

arq: Any = importlib.import_module("arq")
arq_worker: Any = importlib.import_module("arq.worker")
SETTINGS = importlib.import_module("arq.connections").RedisSettings.from_dsn(REDIS_URL)


async def call(ctx: Any, *args: Any) -> int:
    return await noted(*args)


class Arq(Adapter):
    async def open(self) -> None:
        self.pool = await arq.create_pool(SETTINGS)

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return await self.pool.enqueue_job("noted", number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        found = await handle.result_info()
        return None if found is None else found.result

    def work(self) -> None:
        class Settings:
            functions = (arq_worker.func(call, name="noted"),)
            redis_settings = SETTINGS
            max_jobs = 100
            job_timeout = 6 * LEASE  # the longest job of the trials must fit
            poll_delay = 0.1

        arq_worker.run_worker(Settings)


ADAPTER = Arq()
