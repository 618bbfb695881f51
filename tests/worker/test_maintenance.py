"""The chores that any worker does for all."""

from __future__ import annotations

import time
from typing import Any

import pytest

from aqueue import Queue
from aqueue.worker.maintenance import Maintenance
from aqueue.workers import all_workers
from tests import tasks
from tests.support import wait_until
from tests.worker.hands import working


async def test_a_worker_is_warned_of_others_with_another_lease(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue, lease=7):
        await wait_until(lambda: all_workers(), description="its first beat")
        await Maintenance(queue.space, 7_000, refused=print).compare_leases()
        assert "lease" not in caplog.text

        await Maintenance(queue.space, 30_000, refused=print).compare_leases()
        assert "this worker's lease is 30 s, others here have 7 s" in caplog.text


async def test_a_lease_that_nobody_could_have_is_no_other_lease(
    queue: Queue, db: Any, caplog: pytest.LogCaptureFixture
) -> None:
    keys = queue.space.keys
    db.hset(keys.worker("evil"), "lease", "9" * 5_000)
    db.zadd(keys.workers, {"evil": time.time() * 1000 + 60_000})

    async with working(queue):
        job = await queue.enqueue(tasks.add, 1, 2)
        assert await job.wait(10) == 3
    assert "evil" not in caplog.text
    assert "lease" not in caplog.text


async def test_a_chore_that_fails_for_whatever_reason_does_not_end_the_worker(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    chores = Maintenance(queue.space, 30_000, refused=print)

    async def chore() -> None:
        raise ValueError("nobody thought of this")

    await chores._try(chore)

    assert "maintenance failed, trying again" in caplog.text
    assert "nobody thought of this" in caplog.text
