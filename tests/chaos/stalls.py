"""When this machine itself stood still: a recovery that took long for that reason is no finding."""

from __future__ import annotations

import asyncio
import time
from typing import Self

#: Seconds between two looks at the clock.
STEP = 0.05
#: A look that comes later than this was held up.
NOTED = 0.15


class Stalls:
    """Looks at the clock all the time, as a task."""

    def __init__(self) -> None:
        self._found: list[tuple[float, float]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    def between(self, begin: float, end: float) -> float:
        """Seconds of standstill in this time of the monotonic clock."""
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in self._found)

    @property
    def longest(self) -> float:
        return max((until - since for since, until in self._found), default=0.0)

    async def _watch(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(STEP)
            now = time.monotonic()
            if now - last > STEP + NOTED:
                self._found.append((last + STEP, now))
            last = now
