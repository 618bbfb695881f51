"""What a program holds towards each Redis: an `AsyncClient` per running loop, a `SyncClient` per process.

Clients come into being at the first await and die with their loop, so that a `Queue` can be
made at import time, used in several `asyncio.run()` calls, and survive a fork.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

from aqueue._redis.client import AsyncClient
from aqueue._redis.source import Source, from_client, from_url
from aqueue._redis.sync_client import SyncClient


class Connector:
    """The clients of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._clients: dict[asyncio.AbstractEventLoop, AsyncClient] = {}
        self._lives: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        self._blocks: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()
        self._sync: SyncClient | None = None
        #: See `AsyncClient.permitted`.
        self.permitted: set[str] = set()
        self._lock = threading.Lock()
        _connectors[self] = None

    def __reduce__(self) -> tuple[type[Connector], tuple[Source]]:
        """As a copy in another process: the way to Redis, without the connections."""
        return Connector, (self.source,)

    def client(self) -> AsyncClient:
        """The running loop's client; no I/O yet."""
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            with self._lock:
                for other in list(self._clients):  # a copy: other loops end meanwhile
                    if other.is_closed():
                        self._clients.pop(other, None)
                        self._lives.pop(other, None)
                client = self._clients[loop] = AsyncClient(self.source, self.permitted)
                life = self._lives[loop] = self._live(loop, client)
            _start(life)
        return client

    def sync_client(self) -> SyncClient:
        """This process's client for threads; no I/O yet."""
        with self._lock:
            if self._sync is None:
                self._sync = SyncClient(self.source, self.permitted)
            return self._sync

    def enter(self) -> None:
        """An `async with` block of the running loop begins."""
        loop = asyncio.get_running_loop()
        self._blocks[loop] = self._blocks.get(loop, 0) + 1

    async def leave(self) -> None:
        """It ends; the last one closes the loop's connections, unless somebody waits for a job."""
        loop = asyncio.get_running_loop()
        self._blocks[loop] -= 1
        client = self._clients.get(loop)
        if not self._blocks[loop] and client is not None and not client.waiters.is_busy:
            await self.aclose()

    async def aclose(self) -> None:
        """Close the running loop's connections, unless a worker of this loop needs them."""
        loop = asyncio.get_running_loop()
        life, client = self._lives.get(loop), self._clients.get(loop)
        if life is not None and client is not None and not client.workers:
            await life.aclose()

    async def _live(self, loop: asyncio.AbstractEventLoop, client: AsyncClient) -> AsyncGenerator[None, None]:
        """Close the client when the loop shuts its async generators down, as asyncio.run() does."""
        try:
            yield
        finally:
            self._clients.pop(loop, None)
            self._lives.pop(loop, None)
            await client.aclose()

    def forget(self) -> None:
        """After a fork, in the child: the connections are the parent's."""
        self._clients, self._lives, self._sync = {}, {}, None
        self._lock = threading.Lock()
        if self.source.sentinels is not None:
            self.source.sentinels.forget()


def _start(life: AsyncGenerator[None, None]) -> None:
    """Run to its `yield`, which does not suspend, so that the loop knows of the generator."""
    try:
        life.__anext__().send(None)
    except StopIteration:
        pass


_connectors: WeakKeyDictionary[Connector, None] = WeakKeyDictionary()
_by_url: dict[str, Connector] = {}
_by_client: WeakKeyDictionary[Any, Connector] = WeakKeyDictionary()


def connector_for(connection: object) -> Connector:
    """The one connector of a URL or of a redis-py client.

    Raises:
        SettingsError: It is neither, or the URL cannot be used.
    """
    if isinstance(connection, Connector):
        return connection
    if isinstance(connection, str):
        found = _by_url.get(connection)
        if found is None:
            found = _by_url[connection] = Connector(from_url(connection))
        return found
    found = _by_client.get(connection) if hasattr(connection, "connection_pool") else None
    if found is None:
        source = from_client(connection)
        found = _by_client[connection] = Connector(source)
    return found


def _forget_all() -> None:
    for connector in list(_connectors):
        connector.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
