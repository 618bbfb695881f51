"""What the tests of the API share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from aqueue._redis import coalescer, line
from aqueue._redis.client import AsyncClient
from tests.api.admin import admin
from tests.servers import Server


@pytest.fixture
def stored(server: Server, namespace: str) -> Callable[[], list[str]]:
    """The keys of this test's namespace, without their prefix."""

    def keys() -> list[str]:
        prefix = f"{{{namespace}}}:"
        with admin(server) as client:
            found: list[bytes] = list(client.scan_iter(match=f"{prefix}*", count=10_000))
        return sorted(key.decode().removeprefix(prefix) for key in found)

    return keys


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may break, count on or fill."""
    with Server(aof=False).limited() as running:
        yield running


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.4 s of patience instead of 10, 0.15 s for one try instead of 5."""
    monkeypatch.setattr(coalescer, "PATIENCE", 0.4)
    for method in (AsyncClient.run, AsyncClient.read, AsyncClient.ping):
        assert method.__kwdefaults__ is not None
        monkeypatch.setitem(method.__kwdefaults__, "patience", 0.4)
    monkeypatch.setattr(line, "DEADLINE", 0.15)
