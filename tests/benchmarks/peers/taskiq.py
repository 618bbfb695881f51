"""taskiq with the list broker and the result backend of taskiq-redis."""

from __future__ import annotations

import importlib
from typing import Any

from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS, sync_noop

taskiq_redis: Any = importlib.import_module("taskiq_redis")


class Taskiq(Adapter):
    def connect(self) -> None:
        broker = taskiq_redis.ListQueueBroker(REDIS_URL)
        self.broker = broker.with_result_backend(taskiq_redis.RedisAsyncResultBackend(REDIS_URL))
        self.jobs = {job.__name__: self.broker.task(job.__name__)(job) for job in (*JOBS.values(), sync_noop)}

    async def open(self) -> None:
        self.connect()
        await self.broker.startup()

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        return await self.jobs[job].kiq(*args)

    async def result(self, handle: Any) -> None:
        await handle.wait_result(timeout=10)

    def work(self, setting: str) -> None:
        """Setting: max_async_tasks."""
        self.connect()
        args = importlib.import_module("taskiq.cli.worker.args").WorkerArgs
        start = importlib.import_module("taskiq.cli.worker.run").start_listen
        given = args(broker=self.broker, modules=[], max_async_tasks=int(setting), configure_logging=False)
        start(given)


ADAPTER = Taskiq()
