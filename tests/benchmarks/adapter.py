"""What the benchmark asks of a queue.

A peer's adapter fills it in, in an environment that may hold nothing else.
"""

from __future__ import annotations

import os
from typing import Any

REDIS_URL = os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379/0")


class Adapter:
    """A producer and a worker of one queue."""

    #: Whether enqueuing leaves the event loop to others.
    is_async = True
    #: Whether it has a call for many jobs.
    has_bulk = False

    async def open(self) -> None:
        """Connect the producer."""

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        """Enqueue the job of this name; what `result` needs."""
        raise NotImplementedError

    async def enqueue_many(self, job: str, count: int) -> None:
        """Enqueue so many jobs with the arguments (1, 2), as its documentation says for many."""
        raise NotImplementedError

    async def result(self, handle: Any) -> None:
        """Wait for a job's result, as its documentation says."""
        raise NotImplementedError

    async def fetch_many(self, count: int) -> float:
        """Seconds for reading so many queued jobs by their ids."""
        raise NotImplementedError

    def work(self, setting: str) -> None:
        """Run a worker until it is killed."""
        raise NotImplementedError
