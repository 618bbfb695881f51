"""Jobs that the tests of the commands enqueue."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from pathlib import Path

from tests.support import wait_until


def fail() -> None:
    raise ValueError("it is broken")


def block(seconds: float) -> None:
    time.sleep(seconds)


async def hold_until(path: str) -> str:
    """Run until there is a file of this name."""
    await wait_until(Path(path).exists, timeout=60)
    return "held"


async def block_the_loop(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251


def die() -> None:
    """End the process at once, as an out-of-memory kill does."""
    os._exit(9)


async def loop_module() -> str:
    """Whose event loop this is."""
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


_kept: list[bytes] = []


def grow(megabytes: int) -> None:
    """Keep memory for ever."""
    _kept.append(os.urandom(1 << 20) * megabytes)


def leave_an_orphan() -> int:
    """Start a process whose parent ends before it; its pid."""
    shell = subprocess.run(["sh", "-c", "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, check=True)
    return int(shell.stdout)


def state_of(pid: int) -> str | None:
    """The state letter of a process, Z for one that nobody reaps; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def log(message: str) -> None:
    logging.getLogger("app").info("%s", message)
