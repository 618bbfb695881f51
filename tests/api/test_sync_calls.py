"""`aqueue.sync` in plain functions: jobs in, jobs out, looked at and mended."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import aqueue
from aqueue import (
    DuplicateJobError,
    InvalidJobOperation,
    JobFailed,
    NoSuchJobError,
    SettingsError,
    Worker,
    get_current_job,
)
from aqueue.calls import EnqueueCall
from aqueue.sync import (
    Job,
    Queue,
    cancel_job,
    get_failed_queue,
    job,
    requeue_job,
)
from tests import tasks
from tests.api import jobs
from tests.api.admin import clients_of
from tests.servers import Server


@pytest.fixture
def queue(url: str) -> Queue:
    return Queue()


def work(*queues: str) -> None:
    """Let a worker do what there is to do."""
    asyncio.run(Worker(queues or ["default"]).work(burst=True))


@job("sums", timeout="1h")
async def add(a: int, b: int) -> int:
    return a + b


def test_a_job_is_enqueued_run_and_its_result_read(queue: Queue) -> None:
    added = queue.enqueue(
        tasks.add,
        1,
        b=2,
    )
    by_name = queue.enqueue("tests.tasks.say_hello", args=("you",), ttl=60)
    bound = queue.options(job_id="mine", meta={"a": 1}).enqueue(tasks.say_hello, name="me")
    assert queue.get_job_ids() == [added.id, by_name.id, "mine"]
    work()

    assert (added.wait(1), by_name.wait(0), bound.return_value()) == (3, "Hello, you!", "Hello, me!")
    assert (added.status, added.result, by_name.ttl, bound.meta) == ("finished", 3, 60, {"a": 1})
    assert [result.return_value for result in added.results()] == [3]
    latest = added.latest_result()
    assert latest is not None
    assert latest.return_value == 3


def test_jobs_for_later_wait_in_the_scheduled_registry(queue: Queue) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    first = queue.enqueue_in("1h", tasks.add, 1, 2)
    second = queue.enqueue_at(later, tasks.add, 1, 2)
    third = queue.options(ttl=5).enqueue_in(10_800, tasks.add, 1, 2)
    fourth = queue.options(ttl=5).enqueue_at(later + timedelta(hours=2), tasks.add, 1, 2)

    registry = queue.scheduled_job_registry
    assert registry.get_job_ids() == [first.id, second.id, third.id, fourth.id] == list(registry)
    assert abs(registry.get_scheduled_time(second) - later) < timedelta(seconds=5)
    assert (first.status, registry.count(), queue.count()) == ("scheduled", 4, 0)


def test_many_jobs_are_enqueued_at_once(queue: Queue) -> None:
    many = queue.enqueue_many([Queue.prepare_data(tasks.add, (n, n), job_id=f"job{n}") for n in range(250)])

    assert [each.id for each in many] == queue.get_job_ids()
    assert queue.get_jobs(0, 2) == many[:2]
    with pytest.raises(DuplicateJobError) as caught:
        queue.enqueue_many([Queue.prepare_data(tasks.add, (1, 2), job_id=id) for id in ("new", "job7")])
    assert caught.value.enqueued == ["new"]


def test_a_job_is_made_saved_and_enqueued(queue: Queue) -> None:
    made = Job.create(tasks.add, (1, 2), id="mine", meta={"a": 1}, description="a sum")
    made.origin = "default"
    assert made.save() is made
    assert (made.get_status(), queue.count()) == ("created", 0)

    enqueued = queue.enqueue_job(Job.create(tasks.add, (1, 2), id="other"), at_front=True)
    assert (enqueued.status, enqueued.get_position()) == ("queued", 0)


def test_jobs_are_found_again(queue: Queue) -> None:
    made = queue.enqueue(tasks.add, 1, 2, job_id="mine")

    assert Job.fetch("mine").args == (1, 2)
    assert Job.fetch_many(["mine", "nobody"]) == [made, None]
    assert (Job.exists("mine"), Job.exists("nobody")) == (True, False)
    assert (queue.fetch_job("mine"), queue.fetch_job("nobody")) == (made, None)
    assert Queue("other").fetch_job("mine") is None
    with pytest.raises(NoSuchJobError, match="nobody"):
        Job.fetch("nobody")


def test_meta_is_shared_by_all_who_save_and_read_it(queue: Queue) -> None:
    made = queue.enqueue(tasks.add, 1, 2, meta={"a": 1})
    made.meta["b"] = 2
    made.save_meta()
    other = Job.fetch(made.id)
    other.meta = {"c": 3}
    other.save_meta()

    assert made.meta == {"a": 1, "b": 2}
    assert made.get_meta() == {"c": 3} == made.get_meta(refresh=False)


def test_waiting_jobs_are_canceled_removed_and_deleted(queue: Queue) -> None:
    first, second, third, fourth = [queue.enqueue(tasks.add, 1, 2) for _ in range(4)]
    first.cancel()
    queue.remove(second)
    third.delete()
    cancel_job(fourth.id)

    assert (first.status, queue.is_empty()) == ("canceled", True)
    assert sorted(queue.canceled_job_registry) == sorted([first.id, second.id, fourth.id])
    assert queue.canceled_job_registry.contains(second)
    assert queue.canceled_job_registry.get_expiration_time(first) is not None
    with pytest.raises(InvalidJobOperation):
        first.cancel()
    with pytest.raises(InvalidJobOperation):
        first.stop()
    with pytest.raises(NoSuchJobError):
        third.refresh()


def test_failed_jobs_are_enqueued_again(queue: Queue) -> None:
    failing = [queue.enqueue(tasks.div_by_zero, n) for n in range(5)]
    work()
    with pytest.raises(JobFailed, match="ZeroDivisionError"):
        failing[0].wait(0)

    everywhere, here = get_failed_queue(), queue.failed_job_registry
    assert (everywhere.count(), here.count(), len(everywhere.get_jobs())) == (5, 5, 5)
    assert sorted(everywhere.get_job_ids()) == sorted(here.get_job_ids())
    failing[0].requeue()
    requeued = requeue_job(failing[1].id)
    assert here.requeue(failing[2]).status == everywhere.requeue(failing[3]).status == "queued"
    assert (requeued, requeued.status) == (failing[1], "queued")
    assert here.requeue_many([failing[0].id, "nobody"]) == {failing[0].id: "queued", "nobody": "missing"}
    assert here.requeue_all() == 1
    assert (queue.count(), [each.count() for each in everywhere.registries()]) == (5, [0])


def test_a_waiting_job_is_put_among_the_failed_ones_by_hand(queue: Queue) -> None:
    waiting = queue.enqueue(tasks.add, 1, 2)
    bad = get_failed_queue().quarantine(waiting, ValueError("no good"))

    assert (bad.is_failed, bad.exc_info) == (True, "ValueError: no good")
    queue.failed_job_registry.remove(bad)
    assert not Job.exists(bad.id)
    assert get_failed_queue().requeue_all() == 0


def test_queues_are_paused_listed_emptied_and_deleted(queue: Queue) -> None:
    for _ in range(3):
        queue.enqueue(tasks.add, 1, 2)
    queue.pause()
    work()
    assert (queue.is_paused(), queue.count()) == (True, 3)
    queue.resume()

    assert (queue.is_paused(), Queue.all()) == (False, [queue])
    assert repr(Queue.all()) == "[<Queue default>]"
    assert queue.empty() == 3
    queue.delete()
    assert Queue.all() == []


def test_a_decorated_function_is_enqueued_without_await(url: str) -> None:
    added = add.delay(1, 2)
    mine = add.options(job_id="mine").delay(3, b=4)
    on_queue = job(Queue("other"))(add.__wrapped__).delay(5, 6)
    work("sums", "other")

    assert (added.wait(0), mine.wait(0), on_queue.wait(0)) == (3, 7, 11)
    assert (mine.id, mine.origin, mine.timeout, on_queue.origin) == ("mine", "sums", 3600, "other")


def test_jobs_can_run_where_they_are_enqueued(url: str) -> None:
    here = Queue(is_async=False)

    assert here.enqueue(tasks.add, 1, 2).result == 3
    assert [each.result for each in here.enqueue_many([Queue.prepare_data(tasks.add, (1, 2))])] == [3]
    assert here.enqueue(tasks.div_by_zero, 1).is_failed


async def test_a_job_in_a_thread_enqueues_and_waits_for_another(queue: Queue) -> None:
    there = aqueue.Queue()
    outer = await there.enqueue(jobs.enqueue_in_a_thread, 4)
    async with Worker([there]).running():
        assert await outer.wait(10) == 8


def test_threads_share_a_queue(queue: Queue) -> None:
    ready = threading.Barrier(8)

    def enqueue(number: int) -> None:
        ready.wait()
        for n in range(20):
            queue.enqueue(tasks.add, number, n, job_id=f"{number}-{n}")

    threads = [threading.Thread(target=enqueue, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(queue.get_job_ids()) == sorted(f"{number}-{n}" for number in range(8) for n in range(20))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_queue_survives_a_fork(queue: Queue) -> None:
    queue.enqueue(tasks.add, 1, 2, job_id="before")
    child = os.fork()
    if child == 0:
        try:
            queue.enqueue(tasks.add, 1, 2, job_id="child")
            os._exit(queue.count())
        except BaseException:
            os._exit(99)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert status == 2
    assert queue.enqueue(tasks.add, 1, 2, job_id="parent").get_position() == 2


def test_closing_leaves_no_connection_and_the_next_call_opens_one(own_server: Server) -> None:
    with Queue(connection=own_server.url) as queue:
        queue.count()
        assert len(clients_of(own_server)) == 1
    assert clients_of(own_server) == []
    assert queue.count() == 0


async def passing(call: EnqueueCall, call_next: Callable[[], Awaitable[Any]]) -> Any:
    call.meta["seen"] = True
    return await call_next()


async def sleeping(call: EnqueueCall, call_next: Callable[[], Awaitable[Any]]) -> Any:
    await asyncio.sleep(0)
    return await call_next()


def test_middleware_runs_unless_it_waits_for_a_loop(url: str) -> None:
    assert Queue(middleware=[passing]).enqueue(tasks.add, 1, 2).meta == {"seen": True}
    with pytest.raises(RuntimeError, match="does middleware of this queue await something of its own"):
        Queue(middleware=[sleeping]).enqueue(tasks.add, 1, 2)


def test_wrong_settings_are_refused_as_in_aqueue(queue: Queue) -> None:
    with pytest.raises(SettingsError, match="queue name"):
        Queue("no spaces")
    with pytest.raises(SettingsError, match="ttl='soon'"):
        queue.enqueue(tasks.add, 1, 2, ttl="soon")
    assert get_current_job() is None
