"""Where the time goes: the functions with the most time of their own, as text.

The profiler makes short functions look dearer than they are, and on a busy machine a call of the system waits
for its turn: it is for comparing, not for adding up.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aqueue import Queue, Worker
from tests.benchmarks.jobs import noop
from tests.servers import Server

COUNT = 20_000
TOP = 25


async def enqueuing(queue: Queue) -> None:
    """A hundred enqueuers at the same time."""

    async def enqueuer() -> None:
        for _ in range(COUNT // 100):
            await queue.enqueue(noop, 1, 2)

    await asyncio.gather(*(enqueuer() for _ in range(100)))


async def working(queue: Queue) -> None:
    """A worker of a hundred empties the queue."""
    await Worker([queue], concurrency=100).work(burst=True)


async def bulk(queue: Queue) -> None:
    """All in one call."""
    await queue.enqueue_many(Queue.prepare_data(noop, (1, 2)) for _ in range(COUNT))


def profiled(call: Callable[[Queue], Awaitable[None]], queue: Queue, loop: asyncio.Runner) -> str:
    """Run it under cProfile; the top of the list."""

    async def run() -> cProfile.Profile:
        profile = cProfile.Profile()
        profile.enable()
        await call(queue)
        profile.disable()
        return profile

    return listed(pstats.Stats(loop.run(run())))


def listed(stats: Any) -> str:
    """Microseconds of their own and calls, for each job."""
    rows: list[tuple[float, float, str]] = []
    for (file, line, name), (_, calls, own, _, _) in stats.stats.items():
        place = name if file == "~" else f"{_shown(file)}:{line} {name}"
        rows.append((own / COUNT * 1e6, calls / COUNT, place))
    rows.sort(reverse=True)
    lines = [f"{own:8.2f} {calls:8.2f}  {place}" for own, calls, place in rows[:TOP]]
    total, calls = stats.total_tt / COUNT * 1e6, stats.total_calls / COUNT
    return "\n".join([f"{'us/job':>8} {'calls/job':>9}", f"{total:8.2f} {calls:8.2f}  all", *lines, ""])


def _shown(file: str) -> str:
    parts = Path(file).parts
    start = parts.index("aqueue", -4) if "aqueue" in parts[-4:] else len(parts) - 2
    return "/".join(parts[max(0, start) :])


def write_profiles(server: Server, folder: Path) -> None:
    """Profile the three and keep each as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    with asyncio.Runner() as loop:
        queue = Queue("profiled", connection=server.url)
        loop.run(queue.count())
        for call in (enqueuing, working, bulk):
            folder.joinpath(f"profile-{call.__name__}.txt").write_text(profiled(call, queue, loop))
        loop.run(queue.aclose())
