"""One set of operations, two drivers: the event loop's and the threads'."""

from __future__ import annotations

import asyncio

import pytest

from aqueue import Queue, QueueUnavailable, SettingsError
from aqueue._redis import lookups, operations
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from aqueue.connection import Namespace
from tests import tasks
from tests.servers import Server, free_port


@pytest.fixture
def sync_client(space: Namespace) -> SyncClient:
    return space.connector.sync_client()


async def test_both_drivers_get_the_same_answer(
    queue: Queue, space: Namespace, sync_client: SyncClient
) -> None:
    await queue.enqueue(tasks.add, 1, 2)
    operation = operations.count(space.keys, [("queue", "default"), ("failed", "default")])

    assert await space.client.run(operation) == await asyncio.to_thread(sync_client.run, operation) == [1, 0]


async def test_the_sync_driver_reads_in_a_pipeline(
    queue: Queue, space: Namespace, sync_client: SyncClient
) -> None:
    jobs = [await queue.enqueue(tasks.add, 1, number) for number in range(3)]

    found = await asyncio.to_thread(sync_client.read, lookups.snapshots(space.keys, [job.id for job in jobs]))

    assert [snapshot and snapshot.record.function for snapshot in found] == ["tests.tasks.add"] * 3


def test_the_sync_driver_loads_a_script_that_the_server_forgot() -> None:
    with Server(aof=False).limited() as server:
        client = SyncClient(from_url(server.url))
        space = Queue(connection=server.url).space
        server.client().script_flush()

        assert client.run(operations.count(space.keys, [("queue", "default")]), patience=0) == [0]
        client.close()


def test_the_sync_driver_goes_on_after_a_restart() -> None:
    with Server().limited() as server:
        client = SyncClient(from_url(server.url))
        operation = operations.count(Queue(connection=server.url).space.keys, [("queue", "default")])
        client.run(operation)
        server.restart()

        assert client.run(operation) == [0]
        client.close()


def test_the_sync_driver_says_which_server_does_not_answer() -> None:
    port = free_port()
    client = SyncClient(from_url(f"redis://user:secret@127.0.0.1:{port}/3"))

    with pytest.raises(
        QueueUnavailable, match=rf"redis://\*\*\*@127.0.0.1:{port}/3 did not answer"
    ) as caught:
        client.run(operations.count(Queue().space.keys, []), patience=0)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost", "localhost:6379", "redis://localhost:port"])
def test_a_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot use the URL"):
        from_url(url)
