"""A server whose whole content is one namespace, so that all of it can be compared and checked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aqueue import Queue
from aqueue.cli.doctor.data import NEEDED
from tests.doctor.planting import Ground
from tests.servers import Server


@pytest.fixture(scope="session")
def emptied() -> Iterator[Server]:
    """A server that each test empties, for a user who may look through the data and mend it."""
    with Server(aof=False).limited("aqueue", *NEEDED.split()) as running:
        yield running


@pytest.fixture
def ground(emptied: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    """An empty namespace."""
    monkeypatch.setenv("AQUEUE_URL", emptied.url)
    made = Ground(Queue("default", emptied.url), emptied)
    made.stage.db.flushall()
    yield made
    made.stage.db.close()
