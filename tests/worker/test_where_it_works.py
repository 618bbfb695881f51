"""A worker serves the Redis and the namespace of its queues, unless it is told another."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from aqueue import Queue, SettingsError, Worker
from tests import tasks
from tests.support import wait_until
from tests.worker.hands import working


class Other:
    def dumps(self, value: Any, /) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> Any:
        return pickle.loads(data)


def test_what_is_not_given_comes_from_the_first_queue() -> None:
    queue = Queue("x", "redis://127.0.0.2:7777/3", namespace="ns")
    serializer = Other()

    with_serializer = Worker([queue, "y"], serializer=serializer).space
    with_namespace = Worker([queue], namespace="mine").space

    assert with_serializer.connector is with_namespace.connector is queue.space.connector
    assert (with_serializer.keys.namespace, with_serializer.codec.serializer) == ("ns", serializer)
    assert with_namespace.keys.namespace == "mine"


@pytest.mark.parametrize(
    "other", [Queue("b", "redis://127.0.0.2:1"), Queue("b", "redis://127.0.0.1:1", namespace="other")]
)
def test_queues_that_do_not_lie_together_are_refused(other: Queue) -> None:
    with pytest.raises(SettingsError, match="one Redis and one namespace"):
        Worker([Queue("a", "redis://127.0.0.1:1"), other])


async def test_closing_another_queue_leaves_a_worker_of_the_loop_its_commands(queue: Queue, url: str) -> None:
    async with working(queue):
        job = await queue.enqueue(tasks.nap, 60)
        await wait_until(lambda: is_started(job))
        await Queue("other", url).aclose()
        async with Queue("other", url):
            pass

        await job.stop()

        await wait_until(lambda: has_ended(job), timeout=5)  # the next beat would come after 7 s


async def test_leaving_a_queue_s_block_leaves_others_their_waits(queue: Queue, url: str) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)
    waiting = asyncio.create_task(job.wait(timeout=20))
    await wait_until(lambda: queue.space.connector.client().waiters.is_busy)
    async with Queue("other", url):
        pass

    async with working(queue):
        assert await waiting == 3


async def is_started(job: Any) -> bool:
    return bool(await job.get_status() == "started")


async def has_ended(job: Any) -> bool:
    return bool(await job.get_status() == "stopped")
