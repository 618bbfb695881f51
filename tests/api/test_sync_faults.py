"""`aqueue.sync` waits for jobs without polling, and tells the truth when the network or Redis fails it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

import aqueue
from aqueue import (
    EnqueueUncertain,
    JobCanceled,
    NoSuchJobError,
    QueueFull,
    QueueUnavailable,
    WaitTimeout,
    Worker,
)
from aqueue._redis import blocking, operations
from aqueue._redis.blocking import BlockingClient
from aqueue._redis.scripts import load
from aqueue._redis.sync_client import SyncClient
from aqueue.sync import Job, Queue
from tests import tasks
from tests.api.admin import admin, clients_of
from tests.api.proxy import Proxy
from tests.servers import Server, free_port
from tests.support import wait_until

ENQUEUE = load("enqueue").sha.encode()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """0.4 s of patience instead of 10, 0.15 s for one try instead of 5."""
    for method in (SyncClient.run, SyncClient.read, BlockingClient.run, BlockingClient.read):
        assert method.__kwdefaults__ is not None
        monkeypatch.setitem(method.__kwdefaults__, "patience", 0.4)
    assert SyncClient.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(SyncClient.__init__.__kwdefaults__, "timeout", 0.15)


@pytest.fixture
def never_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "REREAD", 60.0)


@pytest.fixture
def read_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "REREAD", 0.05)


def in_thread(function: Callable[[], Any]) -> Future[Any]:
    """Start it in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


async def work(url: str) -> None:
    await Worker(["default"], connection=url).work(burst=True)


def subscribed(server: Server, job: Job[Any]) -> bool:
    with admin(server) as client:
        channel = job._job._space.keys.done_channel(job.id)
        return bool(client.pubsub_numsub(channel)[0][1])


async def test_a_wait_ends_when_redis_tells_of_the_end(own_server: Server, never_read_again: None) -> None:
    queue = Queue(connection=own_server.url)
    job = await asyncio.to_thread(queue.enqueue, tasks.add, 1, 2)
    waiting = in_thread(lambda: job.wait())
    await wait_until(lambda: subscribed(own_server, job))
    await work(own_server.url)

    assert await asyncio.wrap_future(waiting) == 3
    await wait_until(lambda: len(clients_of(own_server)) <= 12 and not subscribed(own_server, job))


@pytest.mark.parametrize("denied", ["publishing", "subscribing"])
async def test_a_wait_ends_where_nothing_can_be_told(
    own_server: Server, read_often: None, denied: str
) -> None:
    async with Worker(["default"], connection=own_server.url).running():
        with admin(own_server) as client:
            if denied == "publishing":
                client.acl_setuser("default", enabled=True, commands=["-publish"])
            else:
                client.acl_setuser("default", enabled=True, reset_channels=True)
        queue = Queue(connection=own_server.url)
        job = await asyncio.to_thread(queue.enqueue, tasks.add, 1, 2)
        waiting = in_thread(lambda: job.wait(20))

        assert await asyncio.wrap_future(waiting) == 3


async def test_a_wait_outlasts_a_restart_of_redis(read_often: None) -> None:
    with Server().limited() as server:
        queue = Queue(connection=server.url)
        job = await asyncio.to_thread(queue.enqueue, tasks.add, 1, 2)
        waiting = in_thread(lambda: job.wait(25))
        await wait_until(lambda: subscribed(server, job))
        server.restart()
        await work(server.url)

        assert await asyncio.wrap_future(waiting) == 3


def test_a_wait_that_is_over_says_so(own_server: Server) -> None:
    job = Queue(connection=own_server.url).enqueue(tasks.add, 1, 2)

    with pytest.raises(WaitTimeout, match="within 0 s; it goes on"):
        job.wait(0)
    with pytest.raises(WaitTimeout, match=r"within 0\.05 s; it goes on"):
        job.wait(0.05)
    assert job.latest_result(timeout=0.05) is None
    own_server.kill()
    with pytest.raises(WaitTimeout, match="Redis did not answer"):
        job.wait(0.1)


def test_waiting_for_what_ended_or_is_gone_ends_at_once(url: str, never_read_again: None) -> None:
    queue = Queue()
    canceled, gone = queue.enqueue(tasks.add, 1, 2), queue.enqueue(tasks.add, 1, 2)
    canceled.cancel()
    gone.delete()

    with pytest.raises(JobCanceled):
        canceled.wait()
    with pytest.raises(NoSuchJobError):
        gone.wait()


@pytest.fixture
def proxied(url: str) -> Iterator[tuple[Proxy, asyncio.AbstractEventLoop]]:
    """A proxy in a loop of another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    proxy = Proxy(url)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result(5)
    yield proxy, loop
    asyncio.run_coroutine_threadsafe(proxy.__aexit__(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def far(url: str, hurry: None, proxied: tuple[Proxy, Any]) -> Queue:
    """The queue, seen through the proxy; its scripts are loaded."""
    Queue().enqueue(tasks.add, 1, 2, job_id="first")
    far = Queue(connection=proxied[0].url)
    assert far.count() == 1
    return far


@pytest.mark.parametrize("action", ["cut before", "cut after", "swallow"])
def test_a_lost_reply_enqueues_a_job_exactly_once(
    far: Queue, proxied: tuple[Proxy, Any], action: Any
) -> None:
    rule = proxied[0].on(ENQUEUE, action)
    job = far.enqueue(tasks.add, 1, 2, job_id="mine")

    assert (rule.met, job.status) == (1, "queued")
    assert far.get_job_ids() == ["first", "mine"]


@pytest.mark.parametrize("action", ["cut before", "cut after"])
def test_what_is_not_known_is_said_and_can_be_repeated_without_await(
    far: Queue, proxied: tuple[Proxy, Any], action: Any
) -> None:
    rule = proxied[0].on(ENQUEUE, action, times=1_000)
    with pytest.raises(EnqueueUncertain, match=r"job 'mine' .* `error\.retry\(\)` repeats") as caught:
        far.enqueue(tasks.add, 1, 2, job_id="mine")
    with pytest.raises(EnqueueUncertain, match="mine"):
        caught.value.retry()
    assert rule.met > 1
    proxied[0].clear()

    job = caught.value.retry()
    assert isinstance(job, Job)
    assert (job.id, job.status, far.get_job_ids()) == ("mine", "queued", ["first", "mine"])


def test_many_jobs_of_a_lost_reply_are_enqueued_once_by_retry(far: Queue, proxied: tuple[Proxy, Any]) -> None:
    proxied[0].on(ENQUEUE, "cut after", times=1_000)
    with pytest.raises(EnqueueUncertain) as caught:
        far.enqueue_many([Queue.prepare_data(tasks.add, (1, n)) for n in range(3)])
    proxied[0].clear()

    many = caught.value.retry()
    assert [type(each) for each in many] == [Job] * 3
    assert far.get_job_ids() == ["first", *(each.id for each in many)]


def test_a_job_is_surely_not_enqueued_where_nobody_listens(hurry: None) -> None:
    queue = Queue(connection=f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(QueueUnavailable, match="job 'mine' was not enqueued") as caught:
        queue.enqueue(tasks.add, 1, 2, job_id="mine")

    assert not caught.value.uncertain


def test_an_idle_connection_that_went_away_makes_nothing_uncertain(own_server: Server, hurry: None) -> None:
    queue = Queue(connection=own_server.url)
    assert queue.count() == 0
    own_server.kill()

    with pytest.raises(QueueUnavailable, match="was not enqueued"):
        queue.enqueue(tasks.add, 1, 2)


def test_an_idle_connection_that_was_closed_is_not_used(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    client, keys = queue._queue.space.connector.sync_client(), queue._queue.space.keys
    operation = operations.count(keys, [("queue", "default")])
    assert client.run(operation) == [0]
    with admin(own_server) as closer:
        closer.client_kill_filter(_type="normal", skipme=True)

    assert client.run(operation, patience=0) == [0]


def test_a_full_redis_takes_no_job(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    queue.enqueue(tasks.add, 1, 2)
    with admin(own_server) as client:
        client.config_set("maxmemory", 1)

    with pytest.raises(QueueFull):
        queue.enqueue(tasks.add, 1, 2)


async def test_the_same_job_object_is_seen_from_both_sides(url: str) -> None:
    here = await aqueue.Queue().enqueue(tasks.add, 1, 2)
    there = Job(here)
    here.meta["a"] = 1
    await asyncio.to_thread(there.save_meta)

    assert (await aqueue.Job.fetch(here.id)).meta == {"a": 1} == there.meta
