"""A look at a server past aqueue: its clients, counters and settings."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import redis

from tests.servers import Server


@contextmanager
def admin(server: Server) -> Generator[Any]:
    """A plain client that repeats nothing; untyped, as redis-py's are only in part."""
    client = redis.Redis(port=server.port, retry=None)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()


def clients_of(server: Server) -> list[dict[str, str]]:
    """Connections other than the one that looks."""
    with admin(server) as client:
        me = client.client_id()
        return [entry for entry in client.client_list() if int(entry["id"]) != me]


def calls_of(server: Server, command: str) -> int:
    """How often a command was sent, whether it was carried out or refused."""
    with admin(server) as client:
        stats = client.info("commandstats").get(f"cmdstat_{command}", {})
        return int(stats.get("calls", 0)) + int(stats.get("rejected_calls", 0))
