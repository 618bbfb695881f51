"""One subscribing connection per loop, for any number of channels.

Messages are hints: what is told while the connection is away is lost. So a listener is called
with None whenever its subscription stands (again), to look for itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aqueue._redis.connecting import close_now, connect
from aqueue._redis.faults import CAUGHT, LONGEST_PAUSE, Attempts
from aqueue._redis.source import Source

#: Called with a message, or with None when the subscription stands (again).
Listener = Callable[[bytes | None], None]

#: Seconds of silence after which the connection is tested, and given up if that is not answered either.
QUIET = 3.0


class Subscriber:
    """The channels of one loop."""

    def __init__(self, source: Source, dial: Callable[[Source], Awaitable[Any]] = connect) -> None:
        """Use `dial` to connect."""
        self._source = source
        self._dial = dial
        self._listeners: dict[bytes, Listener] = {}
        self._task: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._unsent: dict[bytes, bytes] = {}

    def subscribe(self, channel: str, listener: Listener) -> None:
        """Listen to a channel; replaces an earlier listener."""
        name = channel.encode()
        self._listeners[name] = listener
        self._send_soon(name, b"SUBSCRIBE")
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._listen())

    def unsubscribe(self, channel: str) -> None:
        """Stop listening."""
        name = channel.encode()
        if self._listeners.pop(name, None) is not None:
            self._send_soon(name, b"UNSUBSCRIBE")

    async def aclose(self) -> None:
        """End the connection and forget all channels."""
        self._listeners.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def _send_soon(self, name: bytes, command: bytes) -> None:
        """What is asked for in one turn leaves in one command; the last word on a channel counts."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)
        self._unsent[name] = command

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, {}
        connection = self._connection
        if connection is None or not connection.is_connected:
            return  # on connecting, all channels are subscribed anyway
        for command in (b"SUBSCRIBE", b"UNSUBSCRIBE"):
            names = [name for name, wanted in unsent.items() if wanted == command]
            if names:
                connection._writer.writelines(connection.pack_command(command, *names))

    async def _listen(self) -> None:
        attempts = Attempts(self._source, None)
        while True:
            try:
                async with asyncio.timeout(5):
                    connection = await self._dial(self._source)
            except CAUGHT as error:
                await _rest(attempts, error)
                continue
            began = time.monotonic()
            try:
                await self._serve(connection)
            except CAUGHT as error:
                if time.monotonic() - began > QUIET:
                    attempts = Attempts(self._source, None)
                await _rest(attempts, error)  # what is refused at once is asked for less and less often

    async def _serve(self, connection: Any) -> None:
        try:
            await self._hear(connection)
        finally:
            self._connection = None
            close_now(connection)

    async def _hear(self, connection: Any) -> None:
        self._connection = (
            connection  # first: a channel that comes while the command below is sent goes its own way
        )
        if self._listeners:
            await connection.send_command("SUBSCRIBE", *self._listeners, check_health=False)
        tested = False
        while True:
            message = await connection.read_response(
                disable_decoding=True, timeout=QUIET, disconnect_on_error=False
            )
            if message is None and not self._listeners:
                tested = False
                continue
            if message is None:
                if tested:
                    raise ConnectionError("the subscribing connection is dead")
                await connection.send_command("PING", check_health=False)
                tested = True
                continue
            tested = False
            self._dispatch(message)

    def _dispatch(self, message: Any) -> None:
        if not isinstance(message, list):
            return
        kind, name, *rest = message  # pyright: ignore[reportUnknownVariableType]
        listener = self._listeners.get(name)  # pyright: ignore[reportUnknownArgumentType]
        if listener is not None and kind == b"subscribe":
            listener(None)
        elif listener is not None and kind == b"message":
            listener(rest[0])  # pyright: ignore[reportUnknownArgumentType]


async def _rest(attempts: Attempts, error: Exception) -> None:
    """Wait until the next try, also where that will hardly help: nobody depends on being told."""
    try:
        attempts.failed(error, sent=False)
    except CAUGHT:
        await asyncio.sleep(LONGEST_PAUSE)
    else:
        await asyncio.sleep(attempts.pause())
