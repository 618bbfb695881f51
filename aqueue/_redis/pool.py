"""At most ten connections of one event loop. Taking one may wait; giving it back never does.

redis-py's own pools await in `release`, and a caller that is cancelled there leaks its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import redis.exceptions as redis_errors

from aqueue._redis.source import Source
from aqueue.errors import QueueUnavailable

SIZE = 10


class Pool:
    """Connections of one source for one loop; the last one given back is the first one taken."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._idle: list[Any] = []
        self._used: set[Any] = set()
        self._slots = asyncio.Semaphore(SIZE)
        self._path: str | None = None
        self._is_closed = False

    async def connect(self) -> Any:
        """A connected connection outside the pool, for who reads it all the time."""
        if self._source.start is not None:
            self._path = await asyncio.to_thread(start, self._source.start)
        connection: Any = self._source.async_connection(self._path)
        try:
            await connection.connect()
        except BaseException:  # cancelled between the connection and its greeting, redis-py leaves it open
            close_now(connection)
            raise
        return connection

    async def take(self) -> Any:
        """A connection that is ready for a command."""
        await self._slots.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if is_fresh(connection):
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
            if connection.is_connected and not self._is_closed:
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
        """Close all idle connections and wait until they are closed; those in use end with their call."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        self._used.clear()
        for connection in idle:
            await close(connection)


def start(server: Callable[[], str]) -> str:
    """Start a server of our own; that it does not come up is an outage like any other, to be tried again."""
    try:
        return server()
    except QueueUnavailable as error:
        raise redis_errors.ConnectionError(str(error)) from error


def is_fresh(connection: Any) -> bool:
    """Whether it is open and brought nothing that nobody waits for; looks without waiting."""
    reader = connection._reader
    if not connection.is_connected or reader.at_eof() or reader._buffer:
        return False
    return not connection._parser._reader.has_data()


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
