"""A worker whose process holds too much memory ends once its jobs have, to be replaced."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import pytest

from aqueue import Queue, SettingsError, Worker
from aqueue.worker import memory
from tests.cli.jobs import grow
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker
from tests.worker.jobs import Probe

MB = 1 << 20


@pytest.mark.parametrize(
    ("given", "size"),
    [(10**15, 10**15), ("1000000000", 10**9), ("900G", 900 << 30), ("1.5t", 3 << 39), ("99 GiB", 99 << 30)],
)
def test_a_size_is_bytes_or_text(given: Any, size: int) -> None:
    assert Worker("default", "redis://localhost", max_rss=given).settings.max_rss == size


@pytest.mark.parametrize("given", ["much", "", "5X", -1, "-1G", True, "1e9", "nan", "0"])
def test_what_is_no_size_is_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="max_rss="):
        Worker("default", "redis://localhost", max_rss=given)


def test_memory_is_known_also_when_no_file_can_be_opened() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert memory.resident_bytes() > MB
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_limit_below_what_the_process_holds_already_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"this process holds [0-9,]+M before any job"):
        Worker("default", "redis://localhost", max_rss="1M")


async def test_past_the_limit_running_jobs_end_in_their_own_time_and_no_others_begin(
    queue: Queue, probe: Probe, probe_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "LOOK", 0.02)
    worker = make_worker(queue, grace=0, concurrency=2, max_rss=memory.resident_bytes() + 50 * MB)
    held = await queue.enqueue(jobs.hold, probe_name, "held")
    grown = await queue.enqueue(grow, 100)
    task = asyncio.create_task(worker.work())
    await wait_until(lambda: worker.restart_reason)
    late = await queue.enqueue(jobs.give, 1)
    await grown.wait(5)
    assert not task.done()
    probe.open()
    await task

    assert await held.wait(0) == "held"
    assert await late.get_status() == "queued"
    assert worker.restart_reason is not None
    assert "more than max_rss=" in worker.restart_reason
