"""Wait for a wake token on a connection of one's own.

The blocking command carries only the token, never a job: a reply that is lost costs a wait, not a job.
"""

from __future__ import annotations

from collections.abc import Sequence

from aqueue._redis.client import pack
from aqueue._redis.line import DEADLINE, Switchboard
from aqueue._redis.source import Source

#: The longest wait, seconds: a line that is silent for DEADLINE is given up.
LONGEST = DEADLINE - 2


class Doorbell:
    """One blocking connection."""

    def __init__(self, source: Source) -> None:
        self._board = Switchboard(source)

    async def wait(self, wake_keys: Sequence[str], seconds: float) -> bool:
        """Whether a token came within this time, at most LONGEST.

        Raises redis-py's errors; the next call reconnects. Cancelling closes the connection, which would
        take a token away from others.
        """
        try:
            line = self._board.line or await self._board.open()
            [token] = await line.send(pack(("BLPOP", *wake_keys, min(seconds, LONGEST))), 1)
            return token is not None
        except BaseException:
            self._board.drop()
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        await self._board.aclose()
