"""Wait for a wake token on a connection of one's own.

The blocking command carries only the token, never a job: a reply that is lost costs a wait, not a job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aqueue._redis.connecting import close, connect
from aqueue._redis.source import Source

#: Seconds beyond the wait after which a silent connection is given up.
SLACK = 5.0


class Doorbell:
    """One blocking connection."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: Any = None

    async def wait(self, wake_keys: Sequence[str], seconds: float) -> bool:
        """Whether a token came within this time. Raises redis-py's errors; the next call reconnects."""
        try:
            async with asyncio.timeout(seconds + SLACK):
                if self._connection is None or not self._connection.is_connected:
                    self._connection = await connect(self._source)
                await self._connection.send_command("BLPOP", *wake_keys, seconds, check_health=False)
                return await self._connection.read_response(disable_decoding=True) is not None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)
