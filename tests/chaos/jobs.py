"""Jobs that run in workers of their own process; all write into the ledger."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import subprocess
import threading
import time
from pathlib import Path

from aqueue import get_current_job
from tests.chaos.ledger import recorded, runs_so_far
from tests.support import wait_until

#: What `leak` has kept.
_kept: list[bytes] = []


async def nap(seconds: float) -> float:
    with recorded():
        await asyncio.sleep(seconds)
    return seconds


def nap_in_thread(seconds: float) -> float:
    with recorded():
        time.sleep(seconds)
    return seconds


async def stumble(seconds: float) -> None:
    """Fail at the first attempt."""
    job = get_current_job()
    assert job is not None
    with recorded():
        await asyncio.sleep(seconds)
    if job.retries_left:
        raise RuntimeError("stumbled")


async def fail_until_the_last(seconds: float) -> float:
    """Raise while there are retries left."""
    with recorded():
        await asyncio.sleep(seconds)
    job = get_current_job()
    assert job is not None
    if job.retries_left:
        raise RuntimeError("once more")
    return seconds


async def hang_once(folder: str) -> None:
    """Hang, the first time that it is run."""
    job = get_current_job()
    assert job is not None
    with recorded():
        if _is_first(f"{folder}/{job.id}"):
            await asyncio.sleep(3600)


async def die() -> None:
    """End the process at once, as an out-of-memory kill does."""
    with recorded():
        os._exit(9)


def die_in_thread() -> None:
    """As `die`, in a thread or a child process."""
    with recorded():
        os._exit(9)


async def crash() -> None:
    """End the process with a segmentation fault."""
    with recorded():
        ctypes.string_at(0)


def exhaust() -> int:
    """Ask for more memory than there is."""
    with recorded():
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        return len(bytearray(1 << 34))


def leak(megabytes: int) -> None:
    """Keep memory for good."""
    with recorded():
        _kept.append(os.urandom(1 << 10) * (megabytes << 10))


def leave_an_orphan() -> None:
    """Start a process that starts another one and goes."""
    with recorded():
        subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)


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


async def deadlock_once(mark: str) -> int:
    """Wait for ever for a lock that is its own, the first time that it is run."""
    with recorded():
        if _is_first(mark):
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
    return os.getpid()


async def hold_the_gil_once(mark: str, exponent: int) -> int:
    """Calculate in C, which no other thread interrupts, the first time that it is run."""
    return _hold_the_gil_once(mark, exponent)


def hold_the_gil_in_a_child_once(mark: str, exponent: int) -> int:
    return _hold_the_gil_once(mark, exponent)


def _hold_the_gil_once(mark: str, exponent: int) -> int:
    with recorded():
        if _is_first(mark):
            pow(7, exponent)
    return os.getpid()


def exponent_for(seconds: float) -> int:
    """For so long an uninterrupted calculation, about."""
    base = 1_000_000
    began = time.monotonic()
    pow(7, base)
    return int(base * (seconds / (time.monotonic() - began)) ** (1 / 1.585))


async def wait_at(door: str) -> int:
    """Wait until there is a file of this name with this process's id at its end; return the id."""
    with recorded():
        await wait_until(lambda: is_open(door, os.getpid()), timeout=60)
    return os.getpid()


def wait_at_in_thread(door: str) -> int:
    with recorded():
        while not is_open(door, os.getpid()):
            time.sleep(0.01)
    return os.getpid()


def is_open(door: str, pid: int) -> bool:
    return Path(f"{door}.{pid}").exists()


def open_door(door: str, pid: int) -> None:
    """Let the job of this process go on."""
    Path(f"{door}.{pid}").touch()


def _is_first(mark: str) -> bool:
    """Whether nobody has set this mark; it is set then."""
    try:
        Path(mark).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


async def follow(plan: str) -> int:
    """End as the plan says for this run: r raise, t time out, d die, g be released, e end well."""
    with recorded():
        run = runs_so_far()
        match plan[run - 1]:
            case "r":
                raise ValueError("as planned")
            case "d":
                os._exit(9)
            case "t" | "g":
                await asyncio.sleep(60)
            case _:
                return run
    return run
