"""At most ten connections of one event loop. Taking one may wait; giving it back never does.

redis-py's own pools await in `release`, and a caller that is cancelled there leaks its connection.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aqueue._redis.source import Source

SIZE = 10


class Pool:
    """Connections of one source for one loop; the last one given back is the first one taken."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._idle: list[Any] = []
        self._used: set[Any] = set()
        self._slots = asyncio.Semaphore(SIZE)
        self._path: str | None = None

    async def connect(self) -> Any:
        """A connected connection outside the pool, for who reads it all the time."""
        if self._source.start is not None:
            self._path = await asyncio.to_thread(self._source.start)
        connection = self._source.async_connection(self._path)
        await cast(Any, connection).connect()  # redis-py leaves it untyped
        return connection

    async def take(self) -> Any:
        """A connection that is ready for a command."""
        await self._slots.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_connected and not await connection.can_read():
                    break
                close_now(connection)  # closed by the server, or a reply came that nobody waits for
            else:
                connection = await self.connect()
        except BaseException:
            self._slots.release()
            raise
        self._used.add(connection)
        return connection

    def give_back(self, connection: Any) -> None:
        """Return a connection; a broken one is dropped."""
        self._slots.release()
        if connection in self._used:
            self._used.discard(connection)
            if connection.is_connected:
                self._idle.append(connection)
                return
        close_now(connection)

    def drop(self) -> None:
        """Use none of the present connections again; those in use end with their call."""
        for connection in self._idle:
            close_now(connection)
        self._idle.clear()
        self._used.clear()

    async def aclose(self) -> None:
        """Close all idle connections and wait until they are closed."""
        idle, self._idle = self._idle, []
        self._used.clear()
        for connection in idle:
            await close(connection)


def close_now(connection: Any) -> None:
    """Close without waiting."""
    writer = connection._writer  # redis-py's disconnect() awaits even when told not to
    connection._reader = connection._writer = None
    if writer is not None:
        writer.close()


async def close(connection: Any) -> None:
    """Close and wait for it, whatever state the connection is in."""
    try:
        await connection.disconnect()
    except Exception:
        close_now(connection)
