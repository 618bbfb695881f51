"""An idle worker does not poll: it is woken for new jobs, and starts scheduled ones when they are due."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from aqueue import Queue, Retry
from aqueue._redis import operations
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.transitions.stage import new_job
from tests.worker import jobs
from tests.worker.hands import atomically, record, working
from tests.worker.jobs import Probe


async def is_listening(db: Any) -> bool:
    """Whether a worker waits for a token."""
    return any(client["cmd"] == "blpop" for client in db.client_list())


async def test_an_idle_worker_starts_a_new_job_at_once(queue: Queue, db: Any) -> None:
    async with working(queue):
        await wait_until(lambda: is_listening(db))
        took: list[float] = []
        for _ in range(5):
            began = time.monotonic()
            assert await (await queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
            took.append(time.monotonic() - began)

    assert min(took) < 1  # unwoken, each would wait for the end of a BLPOP of 2 s


async def test_an_idle_worker_sends_next_to_nothing(queue: Queue, db: Any) -> None:
    async with working(queue):
        await wait_until(lambda: is_listening(db))
        before = db.info("commandstats")["cmdstat_evalsha"]["calls"]
        began = time.monotonic()
        await asyncio.sleep(1)
        calls = db.info("commandstats")["cmdstat_evalsha"]["calls"] - before

    assert calls / (time.monotonic() - began) < 8  # promote, recover, prune, and a beat


async def lateness(space: Namespace, job: Any) -> float:
    """Milliseconds between a scheduled job's due time and its start, by the server's clock."""
    stored = await record(job, space)
    assert stored.started_at is not None
    assert stored.created_at is not None
    return float(stored.started_at - stored.created_at - job.meta["delay"])


async def test_scheduled_jobs_start_when_they_are_due_without_a_scheduler(
    queue: Queue, space: Namespace
) -> None:
    async with working(queue):
        scheduled = [
            await queue.options(meta={"delay": delay}).enqueue_in(delay / 1000, tasks.add, 1, 2)
            for delay in (100 + 37 * number for number in range(20))
        ]
        for job in scheduled:
            await job.wait(5)

    late = [await lateness(space, job) for job in scheduled]
    assert min(late) >= 0
    assert statistics.median(late) <= 100
    assert max(late) <= 500


async def test_a_job_that_becomes_the_earliest_is_not_held_up_by_later_ones(
    queue: Queue, space: Namespace, db: Any
) -> None:
    async with working(queue):
        await queue.enqueue_in(60, tasks.add, 1, 2)
        await wait_until(lambda: is_listening(db))
        job = await queue.options(meta={"delay": 200}).enqueue_in(0.2, tasks.add, 1, 2)
        await job.wait(5)

    assert await lateness(space, job) <= 500


async def test_a_delayed_retry_starts_when_it_is_due(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.fail_twice, probe_name, retry=Retry(max=2, interval=0.2))
        began = time.monotonic()
        await job.wait(5)

    assert 0.35 < time.monotonic() - began < 1.4


async def test_a_paused_queue_rests_and_goes_on_at_once_when_resumed(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        running = await queue.enqueue(jobs.hold, probe_name, "was running")
        await wait_until(lambda: probe.running)
        await queue.pause()
        held = await queue.enqueue(jobs.note, probe_name, "paused")
        probe.open()
        assert await running.wait(5) == "was running"
        assert await held.get_status() == "queued"

        began = time.monotonic()
        await queue.resume()
        await held.wait(5)
        assert time.monotonic() - began < 0.5


async def test_scheduled_jobs_of_a_paused_queue_wait_for_its_resumption(queue: Queue) -> None:
    async with working(queue):
        await queue.pause()
        job = await queue.enqueue_in(0.05, tasks.add, 1, 2)
        await wait_until(lambda: _has_status(job, "queued"), timeout=5)
        await queue.resume()

        assert await job.wait(5) == 3


async def _has_status(job: Any, status: str) -> bool:
    return bool(await job.get_status() == status)


async def test_a_lost_wake_token_costs_about_two_seconds_at_most(
    queue: Queue, space: Namespace, db: Any
) -> None:
    """The token goes with the job's own transaction, so no worker sees it."""
    async with working(queue):
        await wait_until(lambda: is_listening(db))
        enqueue = operations.enqueue(space.keys, "default", [new_job("silent")])
        began = time.monotonic()
        await atomically(space, enqueue, ("DEL", space.keys.wake("default")))
        await wait_until(lambda: db.hget(space.keys.job("silent"), "status") == b"failed", timeout=5)

        assert time.monotonic() - began < 3.2


async def test_one_of_several_idle_workers_takes_each_job(queue: Queue, db: Any) -> None:
    async with working(queue, concurrency=1) as first, working(queue, concurrency=1) as second:
        naps = [await queue.enqueue(tasks.nap, 0.2) for _ in range(2)]
        began = time.monotonic()
        for job in naps:
            await job.wait(5)

        assert time.monotonic() - began < 1.5
        assert {job.worker_name for job in naps} == {first.name, second.name}


async def test_a_full_worker_leaves_the_wake_tokens_to_others(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, concurrency=1):
        await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        async with working(queue, concurrency=10):
            for _ in range(5):
                began = time.monotonic()
                await (await queue.enqueue(tasks.add, 1, 2)).wait(5)
                assert time.monotonic() - began < 2.5
        probe.open()
