"""A server of our own that does not come up is an outage like any other: it is tried again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from aqueue import QueueUnavailable
from aqueue._redis import operations
from aqueue._redis.client import AsyncClient
from aqueue._redis.keys import Keys
from aqueue._redis.source import Source
from aqueue._redis.sync_client import SyncClient
from tests.servers import Server


async def test_calls_go_on_when_the_server_comes_up_at_last(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Server("--unixsocket", path, aof=False):
        tries = itertools.count(1)

        def start() -> str:
            if next(tries) < 3:
                raise QueueUnavailable("the embedded server did not come up")
            return path

        client = AsyncClient(Source("UnixDomainSocketConnection", {}, "embedded://x", start))
        operation = operations.count(Keys(), [("queue", "default")])

        assert await client.run(operation, patience=None) == [0]
        await client.aclose()


def test_in_a_thread_patience_ends_with_what_the_server_said() -> None:
    def start() -> str:
        raise QueueUnavailable("the embedded server did not come up")

    client = SyncClient(Source("UnixDomainSocketConnection", {}, "embedded://x", start))

    with pytest.raises(QueueUnavailable, match="did not answer: the embedded server did not come up"):
        client.run(operations.count(Keys(), [("queue", "default")]), patience=0)
