"""Make and close redis-py's connections, whatever state they are in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import redis.exceptions as redis_errors

from aqueue._redis.faults import CAUGHT
from aqueue._redis.master import Reply, find_master, reach_master
from aqueue._redis.sentinels import PATIENCE
from aqueue._redis.source import Source
from aqueue.errors import QueueUnavailable


async def connect(source: Source) -> Any:
    """A connection of the running loop; a server of our own is started first, sentinels are asked."""
    if source.sentinels is not None:
        return await reach_master(source, source.sentinels, _Dialer())
    path = None if source.start is None else await asyncio.to_thread(start, source.start)
    connection: Any = source.async_connection(path)
    try:
        with _outages():
            await connection.connect()
    except BaseException:  # cancelled between the connection and its greeting, redis-py leaves it open
        close_now(connection)
        raise
    return connection


@contextmanager
def _outages() -> Generator[None]:
    """Whatever keeps a connection from being made is an outage: credential providers raise anything."""
    try:
        yield
    except CAUGHT:
        raise
    except Exception as error:
        raise redis_errors.ConnectionError(f"cannot connect: {type(error).__name__}: {error}") from error


def connect_blocking(source: Source, timeout: float) -> Any:
    """A connection for a thread, whose reads and writes end after so many seconds."""
    if source.sentinels is not None:
        call = reach_master(source, source.sentinels, _BlockingDialer(timeout))
        try:
            call.send(None)  # it awaits nothing that suspends
        except StopIteration as done:
            return done.value
        raise AssertionError("a blocking call was suspended")
    path = start(source.start) if source.start is not None else None
    connection = source.sync_connection(path, timeout=timeout)
    try:
        with _outages():
            connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    return connection


async def connect_sentinel(source: Source) -> Any:
    """A connection of the running loop to the first sentinel of a source that can be reached."""
    assert source.sentinels is not None
    failure: Exception = redis_errors.ConnectionError("there are no sentinels")
    for host in source.sentinels.hosts:
        try:
            async with asyncio.timeout(PATIENCE):
                return await connect(source.sentinel(source.sentinels, host))
        except CAUGHT as error:
            failure = error
    raise failure


async def where_is_master(source: Source) -> None:
    """Ask the sentinels; connections to what is the master no more are cut."""
    assert source.sentinels is not None
    _, address = await find_master(source, source.sentinels, _Dialer())
    source.sentinels.moved(address)


class _Dialer:
    """Connections of the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def call(self, source: Source, *command: str, seconds: float | None = None) -> tuple[Any, Reply]:
        """Connect, and ask a first thing."""
        async with asyncio.timeout(seconds):
            connection = await connect(source)
            try:
                await connection.send_command(*command, check_health=False)
                return connection, await connection.read_response(
                    disable_decoding=True, disconnect_on_error=False
                )
            except redis_errors.ResponseError as error:
                return connection, error
            except BaseException:
                close_now(connection)
                raise

    def hang_up(self, connection: Any) -> None:
        """Close it."""
        close_now(connection)

    def cut(self, connection: Any) -> None:
        """End it from whichever thread: who reads from it hears that it is closed."""
        try:
            self._loop.call_soon_threadsafe(_abort, connection)
        except RuntimeError:
            pass  # the loop is closed, and its connections with it


class _BlockingDialer:
    """Connections of threads."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout

    async def call(self, source: Source, *command: str, seconds: float | None = None) -> tuple[Any, Reply]:
        """Connect, and ask a first thing; blocks."""
        timeout = self._timeout if seconds is None else min(self._timeout, seconds)
        connection = connect_blocking(source, timeout)
        try:
            connection.send_command(*command, check_health=False)
            return connection, connection.read_response(disable_decoding=True)
        except redis_errors.ResponseError as error:
            return connection, error
        except BaseException:
            connection.disconnect()
            raise

    def hang_up(self, connection: Any) -> None:
        """Close it."""
        connection.disconnect()

    def cut(self, connection: Any) -> None:
        """End it from whichever thread: who reads from it hears that it is closed."""
        sock = connection._sock
        try:
            if sock is not None:
                # not TLS's own, which another thread may be reading through
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            pass


def _abort(connection: Any) -> None:
    if connection._writer is not None:
        connection._writer.transport.abort()


def start(server: Callable[[], str]) -> str:
    """Start a server of our own; that it does not come up is an outage like any other, to be tried again."""
    try:
        return server()
    except QueueUnavailable as error:
        raise redis_errors.ConnectionError(str(error)) from error


def close_now(connection: Any) -> None:
    """Close without waiting, for redis-py or for a server that takes no bytes or does not say goodbye."""
    writer = connection._writer  # redis-py's disconnect() awaits even when told not to
    connection._reader = connection._writer = None
    if writer is not None:
        writer.transport.abort()
