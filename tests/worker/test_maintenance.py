"""The chores that any worker does for all."""

from __future__ import annotations

import pytest

from aqueue import Queue
from aqueue.worker.maintenance import Maintenance
from aqueue.workers import all_workers
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
