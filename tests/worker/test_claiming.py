"""What a worker takes, in which order, and when it has done enough."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from aqueue import Queue, Retry, Worker
from aqueue.errors import SettingsError
from tests import tasks
from tests.support import age, wait_until
from tests.worker import jobs
from tests.worker.hands import burst, make_worker, status, working
from tests.worker.jobs import Probe


@pytest.mark.parametrize("func", [jobs.hold, jobs.hold_thread])
async def test_never_more_jobs_run_than_there_are_slots(
    queue: Queue, probe: Probe, probe_name: str, func: Any
) -> None:
    async with working(queue, concurrency=3):
        held = [await queue.enqueue(func, probe_name) for _ in range(8)]
        await wait_until(lambda: probe.running == 3)
        assert await queue.started_job_registry.count() == 3
        assert await queue.count() == 5
        probe.open()
        for job in held:
            await job.wait(5)

    assert (probe.most, probe.starts) == (3, 8)


async def test_a_hundred_jobs_run_at_the_same_time(queue: Queue, probe: Probe, probe_name: str) -> None:
    await queue.enqueue_many([Queue.prepare_data(jobs.hold, (probe_name,)) for _ in range(120)])
    async with working(queue):
        await wait_until(lambda: probe.running == 100)
        probe.open()
        await wait_until(lambda: probe.starts == 120)

    assert probe.most == 100


async def test_jobs_start_in_the_order_in_which_they_were_enqueued(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    await queue.enqueue_many([Queue.prepare_data(jobs.note, (probe_name, number)) for number in range(250)])
    await burst(queue)

    assert probe.notes == list(range(250))


async def test_higher_priorities_start_first_and_the_front_before_its_own_priority(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    jobs_and_options: dict[str, dict[str, Any]] = {
        "normal": {}, "low": {"priority": -1}, "high": {"priority": 1}, "highest": {"priority": 100},
        "high front": {"priority": 1, "at_front": True}, "front": {"at_front": True},
    }  # fmt: skip
    for what, options in jobs_and_options.items():
        await queue.enqueue(jobs.note, probe_name, what, **options)
    await burst(queue, concurrency=1)

    assert probe.notes == ["highest", "high front", "high", "front", "normal", "low"]


async def test_queues_are_served_strictly_in_order(url: str, probe: Probe, probe_name: str) -> None:
    queues = [Queue(name, connection=url) for name in ("first", "second", "third")]
    for number in range(3):
        for queue in reversed(queues):
            await queue.enqueue(jobs.note, probe_name, f"{queue.name} {number}")
    await burst(queues, concurrency=2)

    assert probe.notes == [f"{queue.name} {number}" for queue in queues for number in range(3)]


async def test_the_next_slot_goes_to_the_queue_that_comes_first(
    url: str, probe: Probe, probe_name: str
) -> None:
    high, low = Queue("high", connection=url), Queue("low", connection=url)
    async with working([high, low], concurrency=1):
        await low.enqueue(jobs.hold, probe_name, "low 1")
        await low.enqueue(jobs.note, probe_name, "low 2")
        await wait_until(lambda: probe.running)
        last = await low.enqueue(jobs.note, probe_name, "low 3")
        await high.enqueue(jobs.note, probe_name, "high")
        probe.open()
        await last.wait(5)

    assert probe.notes == ["low 1", "high", "low 2", "low 3"]


async def test_a_worker_serves_many_queues(url: str, probe: Probe, probe_name: str) -> None:
    queues = [Queue(f"queue{number}", connection=url) for number in range(30)]
    async with working(queues):
        for queue in reversed(queues):
            await queue.enqueue(jobs.note, probe_name, queue.name)
        await wait_until(lambda: len(probe.notes) == 30)

    assert set(probe.notes) == {queue.name for queue in queues}


async def test_jobs_of_other_queues_are_left(url: str, queue: Queue) -> None:
    other = await Queue("other", connection=url).enqueue(tasks.add, 1, 2)
    await burst(queue)

    assert await status(other) == "queued"


async def test_two_workers_share_the_jobs_and_run_none_twice(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    await queue.enqueue_many([Queue.prepare_data(jobs.note, (probe_name, number)) for number in range(300)])
    await asyncio.gather(burst(queue, concurrency=7), burst(queue, concurrency=5))

    assert sorted(probe.notes) == list(range(300))


# -- burst


async def test_burst_says_whether_it_did_something(queue: Queue) -> None:
    assert not await burst(queue)
    await queue.enqueue(tasks.add, 1, 2)
    assert await burst(queue)


async def test_burst_goes_on_while_jobs_enqueue_more(queue: Queue, probe: Probe, probe_name: str) -> None:
    await queue.enqueue(jobs.enqueue_more, probe_name, 3)
    await burst(queue)

    assert probe.notes == [3, 2, 1, 0]


async def test_burst_leaves_scheduled_jobs_and_delayed_retries(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    scheduled = await queue.enqueue_in(60, tasks.add, 1, 2)
    retried = await queue.enqueue(jobs.fail_twice, probe_name, retry=Retry(max=3, interval=60))
    await burst(queue)

    assert [await status(job) for job in (scheduled, retried)] == ["scheduled", "scheduled"]


async def test_burst_runs_retries_without_a_wait(queue: Queue, probe: Probe, probe_name: str) -> None:
    job = await queue.enqueue(jobs.fail_twice, probe_name, retry=Retry(max=3))
    await burst(queue)

    assert await status(job) == "finished"


async def test_burst_is_not_over_when_a_job_is_queued_again_behind_the_last_claim(queue: Queue) -> None:
    """A loop that is slow reads the reply to a claim together with that to the settlement after it."""

    async def slow_down() -> None:
        while True:
            time.sleep(0.001)  # noqa: ASYNC251
            await asyncio.sleep(0)

    job = await queue.enqueue(jobs.fail_with, "ValueError", "again", retry=Retry(max=200))
    slow = asyncio.create_task(slow_down())
    await burst(queue)
    slow.cancel()

    assert await status(job) == "failed"


async def test_burst_runs_scheduled_jobs_that_are_due(queue: Queue) -> None:
    job = await queue.enqueue_in(60, tasks.add, 1, 2)
    await age(queue.space, seconds=60)
    assert await burst(queue)

    assert await job.wait(0) == 3


async def test_burst_leaves_paused_queues(url: str, queue: Queue) -> None:
    other = Queue("other", connection=url)
    left = await queue.enqueue(tasks.add, 1, 2)
    done = await other.enqueue(tasks.add, 1, 2)
    await queue.pause()
    await burst([queue, other])

    assert [await status(job) for job in (left, done)] == ["queued", "finished"]


# -- limits


async def test_a_worker_ends_after_max_jobs(queue: Queue) -> None:
    await queue.enqueue_many([Queue.prepare_data(tasks.add, (1, 2)) for _ in range(10)])
    worker = make_worker(queue, concurrency=4)

    assert await worker.work(max_jobs=7)
    assert (await queue.count(), await queue.finished_job_registry.count()) == (3, 7)
    assert worker.successful_job_count == 7


async def test_max_jobs_waits_for_jobs_to_come_and_to_end(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    task = asyncio.create_task(make_worker(queue).work(max_jobs=1))
    job = await queue.enqueue(jobs.hold, probe_name, "done")
    await wait_until(lambda: probe.running)
    assert not task.done()
    probe.open()

    assert await task
    assert await job.wait(0) == "done"


async def test_a_worker_ends_after_max_idle_time(queue: Queue) -> None:
    began = time.monotonic()

    assert not await make_worker(queue).work(max_idle_time=0.3)
    assert 0.3 <= time.monotonic() - began < 2


@pytest.mark.parametrize("concurrency", [1, 10])
async def test_idle_time_counts_from_the_end_of_the_last_job(queue: Queue, concurrency: int) -> None:
    job = await queue.enqueue(tasks.nap, 0.8)
    task = asyncio.create_task(make_worker(queue, concurrency=concurrency).work(max_idle_time=0.5))
    await job.wait(5)
    ended = time.monotonic()
    await task

    assert 0.45 < time.monotonic() - ended < 2


@pytest.mark.parametrize(
    "limits", [{"max_jobs": 0}, {"max_jobs": True}, {"max_idle_time": 0}, {"max_idle_time": "soon"}]
)
async def test_limits_that_cannot_be_used_are_refused(queue: Queue, limits: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        await Worker(queue).work(**limits)


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"concurrency": 1.5}, {"lease": 0.5}, {"lease": -1}, {"grace": -1}, {"name": "a b"}],
)
async def test_settings_that_cannot_be_used_are_refused(queue: Queue, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Worker(queue, **options)


async def test_a_worker_needs_a_queue(url: str) -> None:
    with pytest.raises(SettingsError):
        Worker([])


@pytest.mark.parametrize("wrong", [None, 5, b"default", [5], [None], object()])
def test_what_is_no_queue_is_refused(url: str, wrong: Any) -> None:
    with pytest.raises(SettingsError, match="queue"):
        Worker(wrong)


@pytest.mark.parametrize("name", ["allow", "signing_key"])
@pytest.mark.parametrize("wrong", [5, True, object(), [5]])
def test_what_is_no_list_is_refused(url: str, name: str, wrong: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        Worker("default", **{name: wrong})
