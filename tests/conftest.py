"""Fixtures: one server for the session, a namespace of its own for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from aqueue import Queue
from aqueue.connection import Namespace
from tests.clusters import IS_SHARED, lone_node
from tests.servers import Server, smallest


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """asyncio's own loop; AQUEUE_TEST_UVLOOP=1: uvloop's."""
    return "asyncio", {"use_uvloop": os.environ.get("AQUEUE_TEST_UVLOOP") == "1"}


@pytest.fixture(autouse=True, scope="session")
def loop_of_workers() -> Iterator[None]:
    """Worker processes have the same loop as the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AQUEUE_LOOP", "uvloop" if os.environ.get("AQUEUE_TEST_UVLOOP") == "1" else "asyncio")
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server that is shared: tests that break it start their own.

    AQUEUE_TEST_SERVER: another program. AQUEUE_TEST_CLUSTER=1: it is a cluster of one node.
    """
    start = lone_node if IS_SHARED else Server
    with start(aof=False, binary=os.environ.get("AQUEUE_TEST_SERVER")) as running:
        yield running


_numbers = itertools.count(1)


@pytest.fixture
def namespace() -> str:
    return f"test{next(_numbers)}"


@pytest.fixture
def url(
    server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """The shared server, also by AQUEUE_URL, with this test's namespace in AQUEUE_NAMESPACE.

    As the smallest user, who besides may do what the test is marked with. AQUEUE_TEST_USER=default: as one
    who may do all.
    """
    url = server.url
    if os.environ.get("AQUEUE_TEST_USER") != "default":
        more = [rule for mark in request.node.iter_markers("more_rights") for rule in mark.args]
        url = server.user(f"user-of-{namespace}", *smallest(namespace), *more)
    monkeypatch.setenv("AQUEUE_URL", url)
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    return url


@pytest.fixture
def queue(url: str) -> Queue:
    return Queue("default", connection=url)


@pytest.fixture
def space(queue: Queue) -> Namespace:
    return queue.space
