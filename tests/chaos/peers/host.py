"""A producer or a worker of one queue: `python -m tests.chaos.peers.host saq work`.

It runs in the queue's own environment, so it imports nothing but the standard library and the queue. A
producer takes one request a line on standard input, and answers each with one line.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from typing import Any

REDIS_URL = os.environ.get("FAULT_REDIS", "redis://127.0.0.1:6379/0")
#: What every queue is told, in its own words: a worker that is silent for so long has lost its jobs.
LEASE = 5

_LEDGER = os.open(os.environ.get("FAULT_LEDGER", os.devnull), os.O_CREAT | os.O_APPEND | os.O_WRONLY)


class Adapter:
    """What the trials ask of a queue."""

    async def open(self) -> None:
        """Connect the producer."""

    async def enqueue(self, number: int, seconds: float, how: str) -> Any:
        """Enqueue `noted` with these arguments; what `result` needs."""
        raise NotImplementedError

    async def result(self, handle: Any) -> int | None:
        """What the job has returned, as it is recorded now."""
        raise NotImplementedError

    def work(self) -> None:
        """Run a worker until it is killed."""
        raise NotImplementedError


def note(word: str, number: int) -> None:
    os.write(_LEDGER, f"{word} {number} {os.getpid()}\n".encode())


async def noted(number: int, seconds: float, how: str) -> int:
    """Note the start, do it, note the end; the id of the process."""
    note("start", number)
    if how == "sleep":
        await asyncio.sleep(seconds)
    else:
        _do(seconds, how)
    note("end", number)
    return os.getpid()


def noted_sync(number: int, seconds: float, how: str) -> int:
    """The same for queues whose functions are plain ones."""
    note("start", number)
    _do(seconds, how)
    note("end", number)
    return os.getpid()


def _do(seconds: float, how: str) -> None:
    if how == "die":
        os._exit(9)
    time.sleep(seconds)


async def produce(adapter: Adapter) -> None:
    """Answer requests until the input ends."""
    loop = asyncio.get_running_loop()
    await adapter.open()
    handles: dict[int, Any] = {}
    print(json.dumps("open"), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        verb, number, *more = json.loads(line)
        try:
            if verb == "enqueue":
                handles[number] = await asyncio.wait_for(adapter.enqueue(number, *more), 30)
                answer: Any = "ok"
            else:
                answer = await asyncio.wait_for(adapter.result(handles[number]), 30)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    os._exit(0)


def main() -> None:
    name, command = sys.argv[1:]
    adapter: Adapter = importlib.import_module(f"tests.chaos.peers.queues.{name}").ADAPTER
    if command == "work":
        adapter.work()
    else:
        asyncio.run(produce(adapter))


if __name__ == "__main__":
    main()
