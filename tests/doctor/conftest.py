"""A server whose whole content is one namespace, so that all of it can be compared and checked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aqueue import Queue
from tests.doctor.planting import Ground
from tests.servers import Server
from tests.transitions.mirror import Holdings, check_partition


@pytest.fixture(scope="session")
def emptied() -> Iterator[Server]:
    """A server that each test empties."""
    with Server(aof=False) as running:
        yield running


@pytest.fixture
def ground(emptied: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """An empty namespace."""
    monkeypatch.setenv("AQUEUE_URL", emptied.url)
    made = Ground(Queue("default", emptied.url), emptied)
    made.stage.db.flushall()
    yield made
    made.stage.db.close()


def check(ground: Ground) -> None:
    """Each job lies in the one registry that its status names, and nothing dangles."""
    for aside in ground.stage.db.keys(ground.space.keys.prefix + "aside:*"):
        ground.stage.db.delete(aside)
    found = Holdings({}, {})
    for key, (kind, value, has_ttl) in ground.stage.digest().items():
        if kind == "hash":
            value = {name.decode(): part.decode("utf-8", "replace") for name, part in value.items()}
        elif kind == "zset":
            value = {member.decode("utf-8", "replace"): score for member, score in value}
        found.values[key] = value
        if has_ttl:
            found.until[key] = 0
    check_partition(found, ground.stage.now())
