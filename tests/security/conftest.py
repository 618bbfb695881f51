"""What the tests of signatures share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aqueue import Queue
from aqueue.connection import Namespace
from tests.servers import Server

KEY = "key-key-key-key-key-key"


@pytest.fixture
def signed(url: str) -> Queue:
    """A queue with a signing key."""
    return Queue("default", url, signing_key=KEY)


@pytest.fixture
def db(server: Server, space: Namespace) -> Iterator[Any]:
    """A plain synchronous client: whoever can write to Redis."""
    client = server.client()
    yield client
    client.close()
