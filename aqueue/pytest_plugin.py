"""Fixtures for tests of programs that use aqueue: a real server, and a namespace of its own for each test.

pytest loads this in every run of an environment that has aqueue, so it imports nothing but pytest until a
fixture is used (`aqueue/__init__.py` plays along). All fixtures are synchronous and bind to the running
loop when they are awaited: they work under anyio's plugin, pytest-asyncio, and in `asyncio.run()`.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from aqueue import Queue, Worker


@pytest.fixture(scope="session")
def aqueue_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of the session's server: the one that AQUEUE_TEST_URL names, else an embedded Valkey.

    The embedded one needs the extra `embedded`; each process of pytest-xdist has its own. Without either,
    the test is skipped.
    """
    url = os.environ.get("AQUEUE_TEST_URL")
    if url:
        yield url
        return
    from aqueue import SettingsError
    from aqueue.testing.places import embedded_server

    with ExitStack() as stack:
        try:
            url = stack.enter_context(embedded_server(tmp_path_factory.mktemp("aqueue")))
        except SettingsError as error:
            pytest.skip(f"{error}, or set AQUEUE_TEST_URL to the url of a server for tests")
        yield url


@pytest.fixture
def aqueue_namespace(aqueue_url: str) -> Generator[str]:
    """The name of a namespace for this test, whose keys are deleted after it.

    During the test all lives there that is not told where, also queues that were made before, and
    AQUEUE_URL and AQUEUE_NAMESPACE tell it to other processes.
    """
    from aqueue.testing.places import own_namespace

    with own_namespace(aqueue_url) as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AQUEUE_URL", aqueue_url)
        patch.setenv("AQUEUE_NAMESPACE", name)
        patch.setenv("AQUEUE_TRUST_REDIS", "1")  # a server for tests, wherever it is
        yield name


@pytest.fixture
def aqueue_redis(aqueue_namespace: str, aqueue_url: str) -> Generator[Redis]:
    """A `redis.asyncio.Redis` of the session's server, closed after the test."""
    from aqueue._redis.lent import lent_client

    with lent_client(aqueue_url) as client:
        yield client


@pytest.fixture
def aqueue_queue(aqueue_namespace: str) -> Queue:
    """The queue "default" in the test's namespace."""
    from aqueue import Queue

    return Queue()


@pytest.fixture
def aqueue_worker(aqueue_queue: Queue) -> Worker:
    """A worker of `aqueue_queue`, not started; after `async with aqueue_worker.running(): ...` it gives back
    what still runs."""
    from aqueue import Worker

    return Worker(aqueue_queue, grace=0)
