"""The floor: the least that a queue on Redis must do. How fast Python and Redis can be at all.

Three scripts, each for a batch; a worker that runs each job as a task with a context variable, and records
what ended within one turn of the loop in one call. No fences, retries, timeouts, heartbeats: it is no queue.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import itertools
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.benchmarks.wire import Transport

QUEUE, STARTED, FINISHED, WAKE, DONE = (
    "floor:queue",
    "floor:started",
    "floor:finished",
    "floor:wake",
    "floor:done",
)
#: Seconds that a finished job is kept.
KEEP = 500

#: One hash a job, a list of ids, and a marker that wakes one idle worker.
ENQUEUE = """
for i = 2, #ARGV, 2 do
    local key = 'floor:job:' .. ARGV[i]
    redis.call('HSET', key, 'data', ARGV[i + 1], 'status', 'queued', 'enqueued_at', ARGV[1])
    redis.call('RPUSH', KEYS[1], ARGV[i])
end
redis.call('ZADD', KEYS[2], 0, '0')
"""
POP = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
local jobs, scores = {}, {}
for i, id in ipairs(ids) do
    local key = 'floor:job:' .. id
    redis.call('HSET', key, 'status', 'started', 'started_at', ARGV[2])
    jobs[2 * i - 1], jobs[2 * i] = id, redis.call('HGET', key, 'data')
    scores[2 * i - 1], scores[2 * i] = ARGV[2], id
end
redis.call('ZADD', KEYS[2], unpack(scores))
return jobs
"""
FINISH = """
local ids, scores = {}, {}
for i = 3, #ARGV, 2 do
    local key, n = 'floor:job:' .. ARGV[i], #ids
    redis.call('HSET', key, 'status', 'finished', 'ended_at', ARGV[1], 'result', ARGV[i + 1])
    redis.call('EXPIRE', key, ARGV[2])
    ids[n + 1], scores[2 * n + 1], scores[2 * n + 2] = ARGV[i], ARGV[1], ARGV[i]
end
redis.call('ZREM', KEYS[1], unpack(ids))
redis.call('ZADD', KEYS[2], unpack(scores))
redis.call('PUBLISH', KEYS[3], table.concat(ids, ' '))
"""
SHA = {text: hashlib.sha1(text.encode()).hexdigest() for text in (ENQUEUE, POP, FINISH)}

current_job: contextvars.ContextVar[str] = contextvars.ContextVar("current_job")


async def load(transport: Transport) -> None:
    """Make the scripts known to Redis."""
    for text in SHA:
        await transport.call("SCRIPT", "LOAD", text)


class Producer:
    """What is enqueued within one turn of the loop becomes one call."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._numbers = itertools.count()
        self._prefix = os.urandom(6).hex()
        self._batch: list[str] = []
        self._sent: asyncio.Future[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def enqueue(self, job: str, args: tuple[Any, ...]) -> str:
        job_id = self._new_id()
        if self._sent is None:
            loop = asyncio.get_running_loop()
            self._sent = loop.create_future()
            loop.call_soon(self._flush)
        self._batch += (job_id, json.dumps([job, args]))
        await self._sent
        return job_id

    async def enqueue_many(self, job: str, args: tuple[Any, ...], count: int) -> None:
        for first in range(0, count, 100):
            packed: list[str] = []
            for _ in range(min(100, count - first)):
                packed += (self._new_id(), json.dumps([job, args]))
            await self._send(packed)

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"

    def _flush(self) -> None:
        batch, self._batch = self._batch, []
        sent, self._sent = self._sent, None
        task = asyncio.ensure_future(self._send(batch, sent))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, batch: list[str], sent: asyncio.Future[None] | None = None) -> None:
        await self._transport.call("EVALSHA", SHA[ENQUEUE], 2, QUEUE, WAKE, time.time(), *batch)
        if sent is not None:
            sent.set_result(None)


class Worker:
    """Pops batches, runs each job in a task of its own, records those that ended together."""

    def __init__(
        self,
        transport: Transport,
        jobs: Mapping[str, Callable[..., Awaitable[Any]]],
        *,
        batch: int,
        slots: int,
        least: int,
    ) -> None:
        """Make a worker.

        Args:
            least: How many slots must be free for a pop.
        """
        self._transport = transport
        self._jobs = jobs
        self._batch = batch
        self._free = slots
        self._least = least
        self._room = asyncio.Event()
        self._ended: list[str] = []
        self._tasks: set[asyncio.Future[Any]] = set()
        self._loop = asyncio.get_running_loop()

    async def run(self, idle: Callable[[], Awaitable[Any]]) -> None:
        """Run jobs for ever; `idle` waits until there may be some."""
        while True:
            while self._free < self._least:
                self._room.clear()
                await self._room.wait()
            wanted = min(self._batch, self._free)
            found = await self._transport.call("EVALSHA", SHA[POP], 2, QUEUE, STARTED, wanted, time.time())
            if not found:
                await idle()
            for job_id, data in zip(found[::2], found[1::2], strict=True):
                self._free -= 1
                self._keep(self._loop.create_task(self._run_job(job_id, data)))

    async def _run_job(self, job_id: str, data: bytes) -> None:
        current_job.set(job_id)
        name, args = json.loads(data)
        result = json.dumps(await self._jobs[name](*args))
        if not self._ended:
            self._loop.call_soon(self._record)
        self._ended += (job_id, result)
        self._free += 1
        self._room.set()

    def _record(self) -> None:
        ended, self._ended = self._ended, []
        call = self._transport.call(
            "EVALSHA", SHA[FINISH], 3, STARTED, FINISHED, DONE, time.time(), KEEP, *ended
        )
        self._keep(asyncio.ensure_future(call))

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
