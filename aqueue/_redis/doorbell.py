"""Wait for a wake token on a connection of one's own.

The blocking command carries only the token, never a job: a reply that is lost costs a wait, not a job. What
follows it must be a call that can be repeated elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aqueue._redis.calls import Operation
from aqueue._redis.client import evalsha, pack
from aqueue._redis.line import DEADLINE, Switchboard
from aqueue._redis.source import Source

#: The longest wait, seconds: a line that is silent for DEADLINE is given up.
LONGEST = DEADLINE - 2


class Doorbell:
    """One blocking connection."""

    def __init__(self, source: Source) -> None:
        self._board = Switchboard(source)
        self._follower: asyncio.Future[list[Any]] | None = None

    async def wait(
        self, wake_keys: Sequence[str], seconds: float, waits: Callable[[], None] | None = None
    ) -> bool:
        """Whether a token came within this time, at most LONGEST.

        Raises redis-py's errors; the next call reconnects. Cancelling closes the connection, which would
        take a token away from others.

        Args:
            waits: Called when Redis has been asked.
        """
        try:
            line = self._board.line or await self._board.open()
            answer = line.send(pack(("BLPOP", *wake_keys, min(seconds, LONGEST))), 1)
            if waits is not None:
                waits()
            [token] = await answer
            return token is not None
        except BaseException:
            if self._follower is not None:
                self._follower.cancel()  # a line that is dropped lives until all its calls are answered
            self._board.drop()
            raise

    def follow(self, operation: Operation[Any]) -> asyncio.Future[list[Any]] | None:
        """Let a call stand at Redis, which runs it at once when the wait is over; None: nobody waits.

        What cancels the wait cancels its answer; whether it was run is then unknown.
        """
        line = self._board.line
        if line is None:
            return None
        self._follower = line.send(pack(evalsha(operation)), 1)
        self._follower.add_done_callback(_noticed)
        return self._follower

    async def aclose(self) -> None:
        """Close the connection."""
        await self._board.aclose()


def _noticed(answer: asyncio.Future[list[Any]]) -> None:
    """An error is the wait's as well, and told there."""
    if not answer.cancelled():
        answer.exception()
