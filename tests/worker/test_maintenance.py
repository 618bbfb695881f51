"""The chores that any worker does for all."""

from __future__ import annotations

import pytest

from aqueue import Queue
from aqueue.worker.maintenance import Maintenance
from tests.support import wait_until
from tests.worker.hands import is_serving, working


async def test_a_worker_is_warned_of_others_with_another_lease(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue, lease=7) as worker:
        await wait_until(lambda: is_serving(worker), description="its record is written")
        await Maintenance(queue.space, 7_000).compare_leases()
        assert "lease" not in caplog.text

        await Maintenance(queue.space, 30_000).compare_leases()
        assert "this worker's lease is 30 s, others here have 7 s" in caplog.text
