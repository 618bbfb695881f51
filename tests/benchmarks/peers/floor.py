"""The floor, over the transport that BENCH_TRANSPORT names."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import redis.asyncio

from tests.benchmarks import floor
from tests.benchmarks.adapter import REDIS_URL, Adapter
from tests.benchmarks.jobs import JOBS
from tests.benchmarks.wire import Transport, connect


async def opened() -> Transport:
    transport = await connect(os.environ.get("BENCH_TRANSPORT", "wire"), REDIS_URL)
    await floor.load(transport)
    return transport


class Floor(Adapter):
    has_bulk = True

    async def open(self) -> None:
        self.producer = floor.Producer(await opened())
        self.awaited: dict[bytes, asyncio.Future[None]] = {}
        self.ended: set[bytes] = set()
        self.listener: asyncio.Task[None] | None = None

    async def enqueue(self, job: str, *args: Any, delay: float | None = None) -> Any:
        return await self.producer.enqueue(job, args)

    async def enqueue_many(self, job: str, count: int) -> None:
        await self.producer.enqueue_many(job, (1, 2), count)

    async def result(self, handle: str) -> None:
        """The first one only subscribes; the finish script publishes the ids of each batch."""
        if self.listener is None:
            client: Any = redis.asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                REDIS_URL
            )
            news = client.pubsub()
            await news.subscribe(floor.DONE)
            await news.get_message(timeout=1)
            self.listener = asyncio.ensure_future(self._listen(news))
        elif handle.encode() not in self.ended:
            self.awaited[handle.encode()] = done = asyncio.get_running_loop().create_future()
            await done

    async def _listen(self, news: Any) -> None:
        async for message in news.listen():
            if message["type"] != "message":
                continue
            for job_id in message["data"].split():
                self.ended.add(job_id)
                if job_id in self.awaited:
                    self.awaited.pop(job_id).set_result(None)

    def work(self, setting: str) -> None:
        """Setting: batch, slots, and how many of them must be free for a pop, as in 100:200:100."""
        batch, slots, least = map(int, setting.split(":"))

        async def run() -> None:
            waker = await opened()
            worker = floor.Worker(await opened(), JOBS, batch=batch, slots=slots, least=least)
            await worker.run(lambda: waker.call("BZPOPMIN", floor.WAKE, 0))

        asyncio.run(run())


ADAPTER = Floor()
