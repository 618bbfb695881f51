"""A redis-py client for tests, closed with each loop that used it: nobody has to await its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis

from aqueue._redis.connector import _start


class LentPool(ConnectionPool):
    """Connections that do not outlive the loop they were made in."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take redis-py's own arguments."""
        super().__init__(*args, **options)  # pyright: ignore[reportUnknownMemberType]
        self._lives: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connection of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._lives:
            life = self._lives[loop] = self._live(loop)
            _start(life)
        pool: Any = super()  # untyped in some of redis-py's versions
        return await pool.get_connection(*args, **options)

    async def _live(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """Disconnect when the loop shuts its async generators down, as asyncio.run() does."""
        try:
            yield
        finally:
            self._lives.pop(loop, None)
            await self.disconnect()

    def give_back(self) -> None:
        """Disconnect in the loops that go on; not to be called while one runs."""
        for loop, life in list(self._lives.items()):
            if not (loop.is_closed() or loop.is_running()):
                loop.run_until_complete(life.aclose())


@contextmanager
def lent_client(url: str) -> Generator[Redis]:
    """A client of this server with redis-py's own settings, closed after the block."""
    pool = LentPool.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    try:
        yield Redis(connection_pool=pool)
    finally:
        pool.give_back()
