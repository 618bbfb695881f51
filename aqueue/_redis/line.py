"""One connection that all calls of a loop share: requests leave at once, replies come back in order.

redis-py connects (TLS, credentials, database), then its transport is taken over: its own connections
serve one call at a time, and a call that is cancelled costs one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import hiredis
import redis.exceptions as redis_errors

from aqueue._redis.connecting import close_now, connect
from aqueue._redis.faults import LATE
from aqueue._redis.source import Source

#: Seconds without a reply, while one is due, after which a connection is given up; also for connecting.
DEADLINE = 5.0
#: Lines of a `Switchboards`.
MOST = 10


class Call:
    """Commands that were sent in one write, and their replies so far."""

    __slots__ = ("answer", "count", "failure", "replies")

    def __init__(self, answer: asyncio.Future[list[Any]], count: int) -> None:
        self.answer = answer
        self.count = count
        self.replies: list[Any] = []
        self.failure: Exception | None = None


class Line(asyncio.Protocol):
    """An open connection."""

    def __init__(self, connection: Any) -> None:
        """Take over a connection of redis-py's that waits for nothing."""
        self._connection = connection  # its stream closes the transport when it is collected
        self._transport: asyncio.Transport = connection._writer.transport
        self._reader = hiredis.Reader(
            protocolError=redis_errors.InvalidResponse, replyError=connection._parser.parse_error
        )
        self._loop = asyncio.get_running_loop()
        self._calls: deque[Call] = deque()
        #: Runs on while no reply is due: a timer for each call would be a tenth of what a call costs.
        self._timer: asyncio.TimerHandle | None = None
        #: The loop's time when a reply was last heard, or first due.
        self._heard = 0.0
        self._is_retired = False
        self._closed = self._loop.create_future()
        #: Whether it takes calls.
        self.is_open: bool = not self._transport.is_closing()
        self._transport.set_protocol(self)

    def send(self, packed: bytes, count: int) -> asyncio.Future[list[Any]]:
        """Send so many commands; their replies, or the first error among them, when all have come.

        Where they cannot be sent, nobody knows how much of them left and whose the next reply is: the line
        ends, and all calls under way with it.
        """
        call = Call(self._loop.create_future(), count)
        if not self._calls:
            self._heard = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(DEADLINE, self._check)
        self._calls.append(call)
        try:
            self._transport.write(packed)
        except Exception as error:
            self.close(redis_errors.ConnectionError(f"cannot send: {str(error) or type(error).__name__}"))
        return call.answer

    def retire(self) -> None:
        """Take no more calls, and close when those under way have their replies."""
        self.is_open = False
        self._is_retired = True
        if all(call.answer.done() for call in self._calls):
            self.close()

    async def closed(self) -> None:
        """Wait until a line that was retired is closed, unless calls are under way."""
        if not self._calls:
            await self._closed

    def close(self, error: Exception | None = None) -> None:
        """Close at once; calls under way fail."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        close_now(self._connection)
        calls, self._calls = self._calls, deque()
        for call in calls:
            if not call.answer.done():
                call.answer.set_exception(
                    error or redis_errors.ConnectionError("Connection closed by server.")
                )

    def data_received(self, data: bytes) -> None:
        """Hand out replies."""
        self._heard = self._loop.time()
        reader, calls = self._reader, self._calls
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if not calls:
                    raise redis_errors.InvalidResponse("Redis sent a reply that nobody waits for")
                call = calls[0]
                if isinstance(reply, Exception):
                    if call.replies:
                        reply.add_note(LATE)
                    call.failure = call.failure or reply
                else:
                    call.replies.append(reply)
                call.count -= 1
                if not call.count:
                    calls.popleft()
                    _answer(call)
        except redis_errors.RedisError as error:
            self.close(error)
        if self._is_retired and not self._calls:
            self.close()

    def eof_received(self) -> None:
        """The server sends no more, so no call under way has a reply to come."""
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed, by us or by the server."""
        reason = None if exc is None else redis_errors.ConnectionError(str(exc) or type(exc).__name__)
        self.close(reason)
        if not self._closed.done():
            self._closed.set_result(None)

    def _check(self) -> None:
        """Give the line up when no reply has come for too long."""
        self._timer = None
        if not self._calls:
            return
        left = self._heard + DEADLINE - self._loop.time()
        if left <= 0:
            self.close(redis_errors.TimeoutError(f"no reply within {DEADLINE:g} s"))
        else:
            self._timer = self._loop.call_later(left, self._check)


def _answer(call: Call) -> None:
    if call.answer.done():
        return  # its caller was cancelled
    if call.failure is not None:
        call.answer.set_exception(call.failure)
    else:
        call.answer.set_result(call.replies)


class Switchboard:
    """The line of one loop: opened at the first call, and again when it is lost."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._line: Line | None = None
        self._opening: asyncio.Task[None] | None = None
        #: How many calls wait for a line.
        self._asking = 0
        #: Nobody will close a line that is opened from now on: it serves the calls that were under way.
        self.is_closed: bool = False

    @property
    def line(self) -> Line | None:
        """The open line, if there is one."""
        return self._line if self._line is not None and self._line.is_open else None

    async def open(self) -> Line:
        """The open line, or a new one; all who ask meanwhile get the same."""
        self._asking += 1
        try:
            while (line := self.line) is None:
                if self._opening is None or self._opening.done():  # it may end while it is made
                    self._opening = asyncio.get_running_loop().create_task(self._open())
                    self._opening.add_done_callback(_noticed)
                await asyncio.shield(self._opening)
        finally:
            self._asking -= 1
        return line

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                self._line = Line(await connect(self._source))
            if self.is_closed and not self._asking:
                self.drop()
        finally:
            self._opening = None

    def drop(self) -> None:
        """Use the present connection for no other call."""
        line, self._line = self._line, None
        if line is not None:
            line.retire()

    async def aclose(self) -> None:
        """Close it and wait for that; with calls under way it is closed after them."""
        self.is_closed = True
        if self._opening is not None and not self._asking:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        line, self._line = self._line, None
        if line is not None:
            line.retire()
            await line.closed()


class Switchboards:
    """Lines for calls for which the server keeps the connection waiting: as far as possible, one for each."""

    def __init__(self, source: Source) -> None:
        self._source = source
        #: How many calls use each.
        self._uses: dict[Switchboard, int] = {}
        self._is_closed = False

    @contextmanager
    def board(self) -> Generator[Switchboard]:
        """One that nobody waits on, or, where there are too many already, the least used."""
        found = min(self._uses, key=self._uses.__getitem__, default=None)
        if found is None or (self._uses[found] and len(self._uses) < MOST):
            found = Switchboard(self._source)
            found.is_closed = self._is_closed
        self._uses[found] = self._uses.get(found, 0) + 1
        try:
            yield found
        finally:
            self._uses[found] -= 1

    async def aclose(self) -> None:
        """Close all; with calls under way, after them."""
        self._is_closed = True
        for board in list(self._uses):
            await board.aclose()


def _noticed(opening: asyncio.Task[None]) -> None:
    """An error is seen by those who wait; when all were cancelled it is nobody's."""
    if not opening.cancelled():
        opening.exception()
