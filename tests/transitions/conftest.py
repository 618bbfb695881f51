"""The stage of the transition tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aqueue.connection import Namespace
from tests.servers import Server
from tests.transitions.stage import Stage


@pytest.fixture
def stage(space: Namespace, server: Server) -> Iterator[Stage]:
    made = Stage(space, server)
    yield made
    made.db.close()
