"""arq."""

from __future__ import annotations

import importlib
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS

arq: Any = importlib.import_module("arq")
arq_worker: Any = importlib.import_module("arq.worker")
SETTINGS = importlib.import_module("arq.connections").RedisSettings.from_dsn(REDIS_URL)


def with_context(job: Any) -> Any:
    async def call(ctx: Any, *args: Any) -> None:
        await job(*args)

    return arq_worker.func(call, name=job.__name__)


class Arq(Adapter):
    async def open(self) -> None:
        self.pool = await arq.create_pool(SETTINGS)

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        return await self.pool.enqueue_job(job, *args, _defer_by=delay)

    async def result(self, handle: Any) -> None:
        await handle.result()

    def work(self, setting: str) -> None:
        """Setting: max_jobs."""

        class Settings:
            functions = tuple(map(with_context, JOBS.values()))
            redis_settings = SETTINGS
            max_jobs = int(setting)

        arq_worker.run_worker(Settings)


ADAPTER = Arq()
