"""What a worker is told is checked when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import Queue, SettingsError, Worker
from aqueue._redis import lookups
from aqueue.connection import Namespace
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import record, working
from tests.worker.jobs import Probe


@pytest.mark.parametrize("lease", [1.5, "1.5s", "1500ms"])
async def test_a_lease_may_be_a_fraction(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, lease: Any
) -> None:
    assert Worker(queue, lease=lease).settings.lease_ms == 1500
    async with working(queue, lease=lease):
        job = await queue.enqueue(jobs.hold, probe_name, 1)
        await wait_until(lambda: probe.running == 1)
        deadline = await space.client.read(lookups.score(space.keys, "started", "default", job.id))
        started = (await record(job, space)).started_at
        probe.open()

    assert deadline is not None
    assert started is not None
    assert deadline - started >= 1500


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("lease", 0.9), ("lease", 0), ("lease", -1), ("lease", "soon"), ("grace", -1), ("concurrency", 0),
        ("concurrency", True), ("concurrency", 1.5), ("name", "a b"), ("default_timeout", 0),
        ("max_zombies", -1), ("max_zombies", 0.5),
        ("on_unsure", "perhaps"), ("on_unsure", None),
        ("max_stall", 0.5), ("max_stall", -1), ("max_stall", "soon"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=setting):
        Worker("default", "redis://localhost", **{setting: value})


def test_a_worker_without_queues_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least one queue"):
        Worker([], "redis://localhost")
