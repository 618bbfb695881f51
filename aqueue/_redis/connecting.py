"""Make and close redis-py's connections, whatever state they are in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import redis.exceptions as redis_errors

from aqueue._redis.source import Source
from aqueue.errors import QueueUnavailable


async def connect(source: Source) -> Any:
    """A connection of the running loop; a server of our own is started first."""
    path = None if source.start is None else await asyncio.to_thread(start, source.start)
    connection: Any = source.async_connection(path)
    try:
        await connection.connect()
    except BaseException:  # cancelled between the connection and its greeting, redis-py leaves it open
        close_now(connection)
        raise
    return connection


def start(server: Callable[[], str]) -> str:
    """Start a server of our own; that it does not come up is an outage like any other, to be tried again."""
    try:
        return server()
    except QueueUnavailable as error:
        raise redis_errors.ConnectionError(str(error)) from error


def close_now(connection: Any) -> None:
    """Close without waiting, neither for redis-py nor for a server that takes no more bytes."""
    writer = connection._writer  # redis-py's disconnect() awaits even when told not to
    connection._reader = connection._writer = None
    if writer is not None:
        writer.transport.abort()


async def close(connection: Any) -> None:
    """Close and wait for it."""
    try:
        await connection.disconnect()
    except Exception:
        close_now(connection)
