"""Cancelled, interrupted by signals, left by its loop: a worker gives its jobs back."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Any

import anyio
import pytest

from aqueue import Queue, Worker
from aqueue.connection import Namespace
from tests import tasks
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import is_serving, make_worker, record, start
from tests.worker.jobs import Probe

SIGNALS = (signal.SIGTERM, signal.SIGINT)


# -- cancellation


async def test_cancelling_work_releases_its_jobs_at_once(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    worker = make_worker(queue, grace=20)
    task = await start(worker)
    job = await queue.enqueue(jobs.clean_up, probe_name, retry=1)
    await wait_until(lambda: probe.running)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    stored = await record(job, space)
    assert (stored.status, stored.releases, stored.attempts) == ("queued", 1, 0)
    assert probe.notes == ["cleaned up"]
    assert time.monotonic() - began < 3
    assert not await is_serving(worker)


async def test_an_anyio_scope_that_is_cancelled_releases_the_jobs_too(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    """Such a scope cancels again and again, at each await."""
    worker = make_worker(queue, grace=20)
    job = await queue.enqueue(jobs.clean_up, probe_name)
    with anyio.move_on_after(0.5):
        await worker.work()

    stored = await record(job, space)
    assert (stored.status, stored.releases, probe.notes) == ("queued", 1, ["cleaned up"])
    assert not await is_serving(worker)
    assert not [thread for thread in threading.enumerate() if thread.name == "aqueue-heartbeat"]


@pytest.mark.parametrize("func", [jobs.clean_up, jobs.hold])
async def test_the_end_of_the_loop_releases_the_jobs(
    url: str, queue: Queue, probe: Probe, probe_name: str, func: Any
) -> None:
    """asyncio.run() cancels all tasks at once, the jobs' own included."""
    namespace = queue.space.keys.namespace

    async def program() -> str:
        own = Queue("default", connection=url, namespace=namespace)
        worker = make_worker(own)
        forgotten.append(asyncio.create_task(worker.work()))
        job = await own.enqueue(func, probe_name, retry=1)
        await wait_until(lambda: probe.running)
        return job.id

    forgotten: list[asyncio.Task[bool]] = []
    began = time.monotonic()
    job_id = await asyncio.to_thread(asyncio.run, program())

    stored = await record(job_id, queue.space)
    assert (stored.status, stored.releases, stored.attempts) == ("queued", 1, 0)
    assert time.monotonic() - began < 5


# -- signals


async def test_sigterm_drains_and_the_handlers_that_were_there_come_back(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    task = await start(make_worker(queue))
    job = await queue.enqueue(jobs.hold, probe_name, "finished")
    await wait_until(lambda: probe.running)
    os.kill(os.getpid(), signal.SIGTERM)
    asyncio.get_running_loop().call_later(0.2, probe.open)

    assert await task
    assert await job.wait(0) == "finished"
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_second_signal_skips_the_grace(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str, number: signal.Signals
) -> None:
    worker = make_worker(queue, grace=20)
    task = await start(worker)
    job = await queue.enqueue(jobs.hold, probe_name)
    await wait_until(lambda: probe.running)
    os.kill(os.getpid(), signal.SIGTERM)
    await wait_until(lambda: _state(worker, "stopping"))
    began = time.monotonic()
    os.kill(os.getpid(), number)
    await task

    assert time.monotonic() - began < 3
    assert worker.was_forced
    assert (await record(job, space)).releases == 1


async def _state(worker: Worker, state: str) -> bool:
    return bool(worker._run is not None and worker._run._facts()["state"] == state)


def test_off_the_main_thread_no_handlers_are_installed(url: str) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[Any] = []

    async def main() -> None:
        queue = Queue("default", connection=url)
        task = asyncio.create_task(make_worker(queue).work(max_jobs=1))
        job = await queue.enqueue(tasks.add, 1, 2)
        seen.append(await job.wait(5))
        seen.append([signal.getsignal(number) for number in SIGNALS] == before)
        await task

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(10)

    assert seen == [3, True]
