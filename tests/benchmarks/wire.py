"""Two ways of the floor to send a command: through redis-py's pool, and over a protocol of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

import hiredis
import redis.asyncio

pack = cast(Callable[[Any], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class Transport(Protocol):
    """Sends commands."""

    def call(self, *command: Any) -> Awaitable[Any]: ...


class Pooled:
    """redis-py as everybody uses it, but for its timeout of 5 s, which costs a quarter."""

    def __init__(self, url: str) -> None:
        self._client: Any = redis.asyncio.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_timeout=None
        )

    def call(self, *command: Any) -> Awaitable[Any]:
        reply: Awaitable[Any] = self._client.execute_command(*command)
        return reply


class Wire(asyncio.Protocol):
    """hiredis packs and parses, a deque matches replies to commands, one write for each turn of the loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._replies = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def call(self, *command: Any) -> Awaitable[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(future)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(pack(command))
        return future

    def _flush(self) -> None:
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        while (reply := self._replies.gets()) is not False:
            future = self._waiting.popleft()
            if isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)


async def connect(kind: str, url: str) -> Transport:
    """A transport of this kind: "wire" or "pooled"."""
    if kind == "pooled":
        return Pooled(url)
    place: Any = urlsplit(url)
    loop = asyncio.get_running_loop()
    _, wire = await loop.create_connection(Wire, place.hostname, place.port)
    return wire
