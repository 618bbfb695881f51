"""Jobs that run in workers of their own process; all write into the ledger."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.chaos.ledger import recorded
from tests.support import wait_until


async def nap(seconds: float) -> float:
    with recorded():
        await asyncio.sleep(seconds)
    return seconds


def nap_in_thread(seconds: float) -> float:
    with recorded():
        time.sleep(seconds)
    return seconds


async def die() -> None:
    """End the process at once, as an out-of-memory kill does."""
    with recorded():
        os._exit(9)


async def block(seconds: float) -> str:
    """Block the event loop itself."""
    with recorded():
        time.sleep(seconds)  # noqa: ASYNC251
    return "blocked"


async def block_at(door: str) -> int:
    """As `wait_at`, but the event loop waits, too."""
    with recorded():
        while not is_open(door, os.getpid()):
            time.sleep(0.01)  # noqa: ASYNC251
    return os.getpid()


async def wait_at(door: str) -> int:
    """Wait until there is a file of this name with this process's id at its end; return the id."""
    with recorded():
        await wait_until(lambda: is_open(door, os.getpid()), timeout=60)
    return os.getpid()


def is_open(door: str, pid: int) -> bool:
    return Path(f"{door}.{pid}").exists()


def open_door(door: str, pid: int) -> None:
    """Let the job of this process go on."""
    Path(f"{door}.{pid}").touch()
