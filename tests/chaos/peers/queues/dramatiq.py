"""dramatiq on Redis, with results, a short heartbeat_timeout and frequent maintenance."""

from __future__ import annotations

import importlib
import signal
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted_sync

dramatiq: Any = importlib.import_module("dramatiq")
RedisBroker: Any = importlib.import_module("dramatiq.brokers.redis").RedisBroker
Results: Any = importlib.import_module("dramatiq.results").Results
RedisBackend: Any = importlib.import_module("dramatiq.results.backends").RedisBackend


class Dramatiq(Adapter):
    def connect(self) -> None:
        self.broker = RedisBroker(url=REDIS_URL, heartbeat_timeout=LEASE * 1000, maintenance_chance=100_000)
        self.backend = RedisBackend(url=REDIS_URL)
        self.broker.add_middleware(Results(backend=self.backend))
        dramatiq.set_broker(self.broker)
        self.actor = dramatiq.actor(noted_sync, actor_name="noted", store_results=True)

    async def open(self) -> None:
        self.connect()

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return self.actor.send(number, seconds, how)

    async def result(self, handle: Any) -> int | None:
        value: int | None = handle.get_result(backend=self.backend, block=True, timeout=5_000)
        return value

    def work(self) -> None:
        self.connect()
        dramatiq.Worker(self.broker, worker_threads=50).start()
        signal.pause()


ADAPTER = Dramatiq()
