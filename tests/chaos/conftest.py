"""What the scenarios share: a server of one's own, a fleet of workers, a seed that is told."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from aqueue import Queue
from tests.chaos.checker import Checker
from tests.chaos.procs import Fleet
from tests.servers import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """Each scenario breaks its own; with an AOF, so that a killed one keeps its data."""
    with Server() as running:
        yield running


@pytest.fixture
def fleet(url: str, namespace: str, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(url, namespace, tmp_path) as made:
        yield made


@pytest.fixture
def checker(server: Server, queue: Queue, fleet: Fleet) -> Checker:
    return Checker(server, queue.space, fleet.ledger)


@pytest.fixture
def dice() -> random.Random:
    """Seeded; the seed is printed with a failure and taken from AQUEUE_TEST_SEED."""
    seed = int(os.environ.get("AQUEUE_TEST_SEED") or random.SystemRandom().randrange(10**9))
    print(f"AQUEUE_TEST_SEED={seed}")
    return random.Random(seed)
