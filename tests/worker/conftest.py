"""What the tests of the worker share: probes, workers with short times, a look at the stored state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from aqueue.connection import Namespace
from tests.servers import Server
from tests.worker.jobs import Probe, probes

_numbers = itertools.count(1)


@pytest.fixture
def probe_name() -> str:
    return f"probe{next(_numbers)}"


@pytest.fixture
def probe(probe_name: str) -> Iterator[Probe]:
    """The probe of this test's jobs; its door is opened at the end, so that no thread is left."""
    probes[probe_name] = made = Probe()
    yield made
    made.open()
    del probes[probe_name]


@pytest.fixture
def db(server: Server, space: Namespace) -> Iterator[Any]:
    """A plain synchronous client, to look and to damage."""
    client = server.client()
    yield client
    client.close()
