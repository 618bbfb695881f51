"""The work that every queue is given. Each job notes its end, so that no queue's own books are needed.

Jobs append 8-byte doubles to the file BENCH_LOG, which processes may share: `stamp` how many seconds it took
to arrive, the others the time at which they end.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time

LOG = os.open(os.environ.get("BENCH_LOG", os.devnull), os.O_CREAT | os.O_APPEND | os.O_RDWR)


def note(number: float) -> None:
    os.write(LOG, struct.pack("d", number))


async def noop(a: int, b: int) -> None:
    note(time.time())


async def nap(a: int, b: int) -> None:
    """10 ms of waiting."""
    await asyncio.sleep(0.01)
    note(time.time())


async def spin(a: int, b: int) -> None:
    """1 ms of CPU, however busy the machine is."""
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass
    note(time.time())


async def stamp(sent: float) -> None:
    note(time.time() - sent)


def sync_noop(a: int, b: int) -> None:
    note(time.time())


def sync_stamp(sent: float) -> None:
    note(time.time() - sent)


#: By the names that the figures use.
JOBS = {job.__name__: job for job in (noop, nap, spin, stamp)}
#: The same for queues whose functions are plain ones.
SYNC_JOBS = {"noop": sync_noop, "stamp": sync_stamp}
