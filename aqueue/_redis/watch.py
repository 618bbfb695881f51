"""Hear at once that the sentinels have made another server the master.

After a failover that was asked for, the old master is up and takes jobs until it is told, ten seconds
later, and then forgets them.
"""

from __future__ import annotations

import asyncio

from aqueue._redis.connecting import connect_sentinel, where_is_master
from aqueue._redis.faults import CAUGHT
from aqueue._redis.sentinels import Sentinels
from aqueue._redis.source import Source
from aqueue._redis.subscriber import Subscriber

CHANNEL = "+switch-master"


class Watch:
    """One loop's subscription to a sentinel."""

    def __init__(self, source: Source, sentinels: Sentinels) -> None:
        self._source = source
        self._sentinels = sentinels
        self._subscriber = Subscriber(source, connect_sentinel)
        self._is_on = False
        self._asking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it goes on already."""
        if not self._is_on:
            self._is_on = True
            self._subscriber.subscribe(CHANNEL, self._hear)

    async def aclose(self) -> None:
        """End the subscription."""
        self._is_on = False
        await self._subscriber.aclose()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    def _hear(self, message: bytes | None) -> None:
        """A message: name, old host and port, new host and port; None: something may have been missed."""
        if message is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
            return
        service, *addresses = message.split(b" ")
        if service.decode("utf-8", "replace") == self._sentinels.service:
            try:
                self._sentinels.moved(self._sentinels.named(addresses[2:]))
            except CAUGHT:
                pass  # no message of a sentinel's

    async def _ask(self) -> None:
        try:
            await where_is_master(self._source)
        except CAUGHT:
            pass  # the next connection asks again
