"""RQ, with the worker that forks, a retry for jobs whose worker was lost, and frequent maintenance.

A started job counts as lost a minute after job_monitoring_interval: that cannot be set.
"""

from __future__ import annotations

import importlib
from typing import Any

from tests.chaos.peers.host import LEASE, REDIS_URL, Adapter, noted_sync

redis: Any = importlib.import_module("redis")
rq: Any = importlib.import_module("rq")


class RQ(Adapter):
    async def open(self) -> None:
        self.queue = rq.Queue(connection=redis.Redis.from_url(REDIS_URL))

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        return self.queue.enqueue(noted_sync, number, seconds, how, retry=rq.Retry(max=5))

    async def result(self, handle: Any) -> int | None:
        found = handle.latest_result()
        return None if found is None else found.return_value

    def work(self) -> None:
        worker = rq.Worker(
            ["default"],
            connection=redis.Redis.from_url(REDIS_URL),
            maintenance_interval=1,
            job_monitoring_interval=max(1, LEASE // 4),
        )
        worker.work(logging_level="WARNING")


ADAPTER = RQ()
