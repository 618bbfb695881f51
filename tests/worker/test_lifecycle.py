"""A worker's beginning and end: stop(), signals, cancellation, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

import pytest

from aqueue import Queue, QueueUnavailable, Worker
from aqueue._redis import lookups
from aqueue.connection import Namespace
from aqueue.errors import SettingsError
from tests import tasks
from tests.servers import Server, free_port
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import is_serving, make_worker, record, start, status, working
from tests.worker.jobs import Probe

SIGNALS = (signal.SIGTERM, signal.SIGINT)


# -- stop()


async def test_stop_lets_running_jobs_finish_and_takes_no_new_ones(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    worker = make_worker(queue)
    task = await start(worker)
    running = await queue.enqueue(jobs.hold, probe_name, "finished")
    await wait_until(lambda: probe.running)
    await worker.stop()
    left = await queue.enqueue(tasks.add, 1, 2)
    probe.open()

    assert await task
    assert await running.wait(0) == "finished"
    assert await status(left) == "queued"


async def test_stop_of_an_idle_worker_ends_it_at_once(queue: Queue) -> None:
    worker = make_worker(queue)
    task = await start(worker)
    began = time.monotonic()
    await worker.stop()

    assert not await task
    assert time.monotonic() - began < 1


async def test_stop_right_after_the_start_is_not_missed(queue: Queue) -> None:
    worker = make_worker(queue)
    task = asyncio.create_task(worker.work())
    await worker.stop()

    async with asyncio.timeout(5):
        assert not await task


async def test_stop_of_a_worker_that_does_not_work_does_nothing(queue: Queue) -> None:
    worker = make_worker(queue)
    await worker.stop()
    await queue.enqueue(tasks.add, 1, 2)

    assert await worker.work(burst=True)


@pytest.mark.parametrize("func", [jobs.hold, jobs.clean_up])
async def test_jobs_that_exceed_the_grace_are_released_to_the_front(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, func: Any
) -> None:
    worker = make_worker(queue, grace=0.1)
    task = await start(worker)
    job = await queue.enqueue(func, probe_name, retry=1)
    await wait_until(lambda: probe.running)
    waiting = await queue.enqueue(tasks.add, 1, 2)
    await worker.stop()
    await task

    stored = await record(job, space)
    assert (stored.status, stored.releases, stored.attempts, stored.lost) == ("queued", 1, 0, 0)
    assert (
        worker.successful_job_count == await queue.finished_job_registry.count()
    )  # released is not finished
    ids = await queue.get_job_ids()
    assert ids[0] == job.id
    assert set(ids) <= {job.id, waiting.id}


async def test_a_released_job_runs_again_elsewhere(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, grace=0):
        job = await queue.enqueue(jobs.hold, probe_name, "second time")
        await wait_until(lambda: probe.running)
    probe.open()
    async with working(queue):
        assert await job.wait(5) == "second time"

    assert probe.starts == 2


async def test_a_job_that_returns_after_the_shutdowns_cancel_has_finished(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, grace=0, cleanup=2):
        job = await queue.enqueue(jobs.swallow_once, probe_name)
        await wait_until(lambda: probe.running)

    assert await job.wait(0) == "as if nothing had happened"


async def test_a_job_that_raises_after_the_shutdowns_cancel_is_released(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, grace=0, cleanup=2):
        job = await queue.enqueue(jobs.fail_when_cancelled, probe_name)
        await wait_until(lambda: probe.running)

    stored = await record(job, space)
    assert (stored.status, stored.releases) == ("queued", 1)


async def test_a_thread_has_the_cleanup_time_to_return(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, grace=0, cleanup=5):
        job = await queue.enqueue(jobs.hold_thread, probe_name, "returned")
        await wait_until(lambda: probe.running)
        asyncio.get_running_loop().call_later(0.3, probe.open)

    assert await job.wait(0) == "returned"


async def test_a_thread_that_does_not_return_is_released_and_left_behind(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue, grace=0, cleanup=0.1) as worker:
        job = await queue.enqueue(jobs.hold_thread, probe_name)
        await wait_until(lambda: probe.running)

    stored = await record(job, space)
    assert (stored.status, stored.releases, worker.has_zombies) == ("queued", 1, True)


# -- running()


async def test_running_serves_during_the_block_and_drains_on_exit(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with Worker(queue).running() as worker:
        assert await (await queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
        job = await queue.enqueue(tasks.nap, 0.3)
        await wait_until(lambda: _is(job, "started"))

    assert await status(job) == "finished"
    assert not await is_serving(worker)


async def _is(job: Any, status: str) -> bool:
    return bool(await job.get_status() == status)


async def test_running_leaves_the_signal_handlers_alone(queue: Queue) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    async with working(queue):
        assert [signal.getsignal(number) for number in SIGNALS] == before
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_an_error_in_the_block_passes_through_and_the_worker_is_drained(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    worker = make_worker(queue)
    job = await queue.enqueue(tasks.nap, 0.2)

    async def program() -> None:
        async with worker.running():
            await wait_until(lambda: _is(job, "started"))
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block"):
        await program()
    assert await status(job) == "finished"
    assert not await is_serving(worker)


async def test_running_and_work_raise_when_redis_refuses_them(server: Server) -> None:
    worker = Worker("default", server.url.replace("redis://", "redis://nobody:wrong@"))
    with pytest.raises(QueueUnavailable):
        async with worker.running():
            pytest.fail("not reached")
    with pytest.raises(QueueUnavailable):
        await worker.work()


@pytest.mark.slow
async def test_running_raises_when_redis_cannot_be_reached() -> None:
    """After the ten seconds in which it might come."""
    with pytest.raises(QueueUnavailable):
        async with Worker("default", f"redis://127.0.0.1:{free_port()}/0").running():
            pytest.fail("not reached")


async def test_a_worker_touches_nothing_where_a_newer_version_has_changed_the_layout(
    queue: Queue, server: Server
) -> None:
    job, schema = await queue.enqueue(tasks.add, 1, 2), queue.space.keys.schema
    worker, db = make_worker(queue), server.client()
    db.set(schema, "2")
    with pytest.raises(SettingsError, match="has layout '2', this version knows 1: a newer aqueue wrote it"):
        await worker.work(burst=True)
    with pytest.raises(SettingsError, match="has layout '2'"):
        async with worker.running():
            pytest.fail("not reached")
    assert await status(job) == "queued"
    assert await Worker.count(queue=queue) == 0

    db.delete(schema)
    db.rpush(schema, "of others")
    assert await worker.work(burst=True)
    db.delete(schema)
    db.set(schema, "1")
    assert not await worker.work(burst=True)


async def test_a_worker_can_be_started_again_but_not_twice_at_once(queue: Queue) -> None:
    worker = make_worker(queue)
    for _ in range(3):
        async with worker.running():
            job = await queue.enqueue(tasks.add, 1, 2)
            with pytest.raises(SettingsError, match="works already"):
                await worker.work()
            with pytest.raises(SettingsError, match="works already"):
                async with worker.running():
                    pytest.fail("not reached")
            assert await job.wait(5) == 3

    assert worker.successful_job_count == 3


async def test_a_start_that_is_cancelled_leaves_nothing_behind(queue: Queue) -> None:
    worker = make_worker(queue)

    async def enter() -> None:
        async with worker.running():
            await asyncio.sleep(20)

    task = asyncio.create_task(enter())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([task])

    assert task.cancelled()
    assert not await is_serving(worker)


# -- what is left behind


async def test_the_workers_record_comes_with_it_and_goes_with_it(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working([queue, "low"], name="anna", concurrency=7) as worker:
        await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        await wait_until(lambda: is_serving(worker))
        [found] = await space.client.read(lookups.workers(space.keys, [worker.id]))
        assert (found["name"], found["queues"], found["concurrency"]) == ("anna", "default low", "7")
        assert (found["pid"], found["lease"]) == (str(os.getpid()), "30000")
        assert await space.client.read(lookups.worker_ids(space.keys)) == [worker.id]
        probe.open()

    assert await space.client.read(lookups.worker_ids(space.keys)) == []
    assert not await is_serving(worker)


async def test_workers_may_share_a_name(queue: Queue, space: Namespace) -> None:
    async with (
        working(queue, name="twin", concurrency=1) as one,
        working(queue, name="twin", concurrency=1) as two,
    ):
        await wait_until(lambda: is_serving(one))
        await wait_until(lambda: is_serving(two))
        naps = [await queue.enqueue(tasks.nap, 0.1) for _ in range(6)]
        for job in naps:
            await job.wait(5)
        assert {job.worker_name for job in naps} == {"twin"}

        await one.stop()
        await wait_until(lambda: _gone(one))
        assert await is_serving(two)


async def _gone(worker: Worker) -> bool:
    return not await is_serving(worker)


async def test_no_thread_and_no_task_is_left(queue: Queue) -> None:
    await (await queue.enqueue(tasks.add, 1, 2)).get_status()
    tasks_before, threads_before = len(asyncio.all_tasks()), set(threading.enumerate())
    for _ in range(3):
        await make_worker(queue).work(burst=True)
    await wait_until(lambda: len(asyncio.all_tasks()) <= tasks_before + 1)  # the subscriber stays

    left = [thread.name for thread in set(threading.enumerate()) - threads_before]
    assert not [name for name in left if name.startswith("aqueue")]


async def test_a_worker_that_dies_inside_another_program_says_so_at_once(
    queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    async def program() -> None:
        async with make_worker(queue).running() as worker:
            assert worker._run is not None
            worker._run._refused(QueueUnavailable("Redis refuses the credentials"))
            await wait_until(lambda: "no jobs are run here any more" in caplog.text)

    with pytest.raises(QueueUnavailable, match="the credentials"):
        await program()
    assert caplog.text.count("QueueUnavailable: Redis refuses the credentials") == 1


async def test_a_start_inside_another_program_can_be_cancelled_while_redis_is_away() -> None:
    worker = Worker("default", f"redis://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), worker.running():
            pass
    assert time.monotonic() - began < 5
