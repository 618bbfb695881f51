"""A record that cannot be read fails its job; the worker and the job's neighbours go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aqueue import Job, Queue, Retry
from aqueue._redis.operations import Lookup
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.worker.hands import burst, working
from tests.worker.jobs import Probe, hold


async def write(space: Namespace, job_id: str, field: str, value: str | bytes) -> None:
    await space.client.read(Lookup([("HSET", space.keys.job(job_id), field, value)], lambda replies: None))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeout", "abc"),
        ("result_ttl", "abc"),
        ("attempts", "x"),
        ("misses", "1.5"),
        ("retry", "{"),
        ("retry", '{"max": "three"}'),
        ("retry", '{"max": 3, "waits": []}'),
        ("retry", "[1]"),
    ],
)
async def test_a_field_that_cannot_be_read_fails_its_job_alone(
    queue: Queue, space: Namespace, field: str, value: str
) -> None:
    damaged = await queue.enqueue(tasks.div_by_zero, 1)
    healthy = await queue.enqueue(tasks.add, 1, 2)
    await write(space, damaged.id, field, value)

    await burst(queue, concurrency=1)

    assert await healthy.return_value() == 3
    await damaged.refresh()
    assert damaged.is_failed
    assert damaged.exc_info is not None
    assert damaged.exc_info.startswith("PayloadError: the record of job")


async def test_a_request_that_nobody_can_make_is_passed_over(queue: Queue, space: Namespace) -> None:
    async with working(queue, lease=1):
        first = await queue.enqueue(tasks.nap, 0.6)
        second = await queue.enqueue(tasks.nap, 30)
        await wait_until(lambda: has_status(second, "started"))
        await write(space, first.id, "request", b"99\x80junk")
        await write(space, second.id, "request", "cancel")
        await wait_until(lambda: has_status(second, "canceled"))

        assert await first.wait(timeout=10) == 0.6


async def has_status(job: Job[Any], status: str) -> bool:
    return await job.get_status() == status


async def test_a_policy_of_a_newer_version_is_followed_as_far_as_it_is_known(
    queue: Queue, space: Namespace
) -> None:
    job = await queue.enqueue(tasks.div_by_zero, 1, retry=Retry(max=2))
    await write(space, job.id, "retry", '{"max": 2, "waits": [0], "longest": 1000, "colour": "red"}')

    await burst(queue)

    assert len(await job.results()) == 3
    assert (await Job.fetch(job.id)).retries_left == 0


async def test_an_id_that_nobody_could_have_given_does_not_end_the_worker(
    queue: Queue, space: Namespace, db: Any
) -> None:
    healthy = await queue.enqueue(tasks.add, 1, 2)
    bad = b"\xff\xfe"
    copied = db.hgetall(space.keys.job(healthy.id))
    db.hset(space.keys.job("").encode() + bad, mapping=copied)
    db.zadd(space.keys.registry("queue", "default"), {bad: -1})

    await burst(queue, concurrency=1)

    assert await healthy.return_value() == 3
    assert db.zscore(space.keys.registry("started", "default"), bad) is not None  # its lease takes it away


async def test_a_record_that_names_no_queue_any_more_is_given_up(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str
) -> None:
    damaged = await queue.enqueue(hold, probe_name)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(burst(queue))
        await wait_until(lambda: probe.running)
        db.hdel(space.keys.job(damaged.id), "queue")
        probe.open()
