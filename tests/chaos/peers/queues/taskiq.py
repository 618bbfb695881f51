"""taskiq with the stream broker of taskiq-redis, which acknowledges, and a short idle_timeout."""

from __future__ import annotations

import importlib
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted

taskiq_redis: Any = importlib.import_module("taskiq_redis")


class Taskiq(Adapter):
    def connect(self) -> None:
        broker = taskiq_redis.RedisStreamBroker(
            REDIS_URL, idle_timeout=LEASE * 1000, unacknowledged_lock_timeout=LEASE
        )
        self.broker = broker.with_result_backend(taskiq_redis.RedisAsyncResultBackend(REDIS_URL))
        self.job = self.broker.task("noted")(noted)

    async def open(self) -> None:
        self.connect()
        await self.broker.startup()

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return await self.job.kiq(number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        if not await handle.is_ready():
            return None
        value: int | None = (await handle.get_result()).return_value
        return value

    def work(self) -> None:
        self.connect()
        args = importlib.import_module("taskiq.cli.worker.args").WorkerArgs
        start = importlib.import_module("taskiq.cli.worker.run").start_listen
        start(args(broker=self.broker, modules=[], max_async_tasks=100, configure_logging=False))


ADAPTER = Taskiq()
