"""With too many jobs given up whose code runs on, a worker drains and says that it must be replaced."""

from __future__ import annotations

import pytest

from aqueue import Queue, Worker
from aqueue._redis import lookups
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker, start, status, working
from tests.worker.jobs import Probe


async def test_more_zombies_than_allowed_end_the_worker_and_are_named(
    queue: Queue, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(queue, concurrency=4, max_zombies=1, cleanup=0.05)
    working = await start(worker)
    stuck = [await queue.enqueue(jobs.hold_thread, probe_name, job_timeout=0.5) for _ in range(2)]
    await working
    after = await queue.enqueue(tasks.add, 1, 2)

    assert await status(after) == "queued"
    assert [await status(job) for job in stuck] == ["failed", "failed"]
    assert worker.restart_reason is not None
    assert "more than max_zombies=1" in worker.restart_reason
    assert all(job.id in worker.restart_reason for job in stuck)
    assert f"its process must be replaced: {worker.restart_reason}" in caplog.text


async def test_running_jobs_have_the_grace_when_zombies_end_the_worker(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    worker = make_worker(queue, max_zombies=0, cleanup=0.05)
    work = await start(worker)
    running = await queue.enqueue(jobs.hold, probe_name, "to the end")
    await queue.enqueue(jobs.swallow, probe_name, job_timeout=0.1)
    await wait_until(lambda: worker.restart_reason)
    probe.open()
    await work

    assert await running.wait(0) == "to the end"


async def test_code_that_ends_when_cancelled_again_is_no_zombie(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, max_zombies=0, cleanup=0.05) as worker:
        ending = await queue.enqueue(jobs.clean_up_for_ever, probe_name, job_timeout=0.05)
        await wait_until(lambda: probe.notes)
        following = await queue.enqueue(jobs.clean_up_for_ever, probe_name, job_timeout=0.1)
        await wait_until(lambda: len(probe.notes) == 2)

        assert [await status(job) for job in (ending, following)] == ["failed", "failed"]
        assert worker.restart_reason is None


async def test_zombies_left_by_a_shutdown_ask_for_no_restart(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, max_zombies=0, grace=0, cleanup=0.05) as worker:
        await queue.enqueue(jobs.hold_thread, probe_name)
        await wait_until(lambda: probe.running)

    assert (worker.has_zombies, worker.restart_reason) == (True, None)


async def test_the_workers_record_counts_them(queue: Queue, probe: Probe, probe_name: str) -> None:
    async def told() -> str:
        [facts] = await queue.space.client.read(lookups.workers(queue.space.keys, [worker.id]))
        return facts["zombies"]

    async with working(queue, lease=1) as worker:
        await wait_until(lambda: worker.id)
        await queue.enqueue(jobs.hold_thread, probe_name, job_timeout=0.5)
        await wait_until(lambda: worker.has_zombies)

        async def is_one() -> bool:
            return await told() == "1"

        await wait_until(is_one)


@pytest.mark.parametrize(("concurrency", "limit"), [(1, 1), (3, 1), (100, 50)])
def test_half_of_the_slots_may_be_zombies(url: str, concurrency: int, limit: int) -> None:
    assert Worker("default", concurrency=concurrency).settings.max_zombies == limit
