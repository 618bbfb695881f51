"""Redis is down, full, a replica, starting, or has forgotten our scripts: what producers see of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.exceptions import BusyLoadingError, ConnectionError

from aqueue import (
    EnqueueUncertain,
    Job,
    Queue,
    QueueFull,
    QueueUnavailable,
    Worker,
    get_failed_queue,
)
from tests.api import jobs
from tests.api.admin import admin, clients_of
from tests.servers import Server, free_port, redis_binary
from tests.support import wait_until


@pytest.fixture
async def queue(own_server: Server) -> AsyncIterator[Queue]:
    async with Queue(connection=own_server.url) as opened:
        await opened.enqueue(jobs.nothing, job_id="first")
        yield opened


def has_noticed(queue: Queue) -> bool:
    """Whether a try has failed."""
    return queue.space.connector.client()._down_since is not None


async def test_a_job_is_surely_not_enqueued_where_nobody_listens(hurry: None) -> None:
    async with Queue(connection=f"redis://user:secret@127.0.0.1:{free_port()}/3") as queue:
        begin = time.monotonic()
        with pytest.raises(
            QueueUnavailable, match="job 'mine' was not enqueued: Redis at redis://"
        ) as caught:
            await queue.enqueue(jobs.nothing, job_id="mine")

        assert time.monotonic() - begin < 3
        assert not caught.value.uncertain
        assert "secret" not in str(caught.value)
        assert "***@127.0.0.1" in str(caught.value)


async def test_every_call_gives_up_when_its_patience_is_over(hurry: None) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    queue = Queue(connection=url)
    job = Job.create(jobs.nothing, id="mine", connection=url, origin="default")
    registry = queue.failed_job_registry
    calls: list[Any] = [
        queue.count, queue.get_job_ids, queue.get_jobs, queue.is_empty, queue.pause, queue.is_paused,
        queue.empty, queue.delete, job.save, job.refresh, job.cancel, job.requeue, job.delete, job.save_meta,
        job.get_position, job.results, registry.count, registry.requeue_all,
        lambda: registry.contains("x"), lambda: registry.requeue("x"), lambda: queue.fetch_job("x"),
        lambda: Job.fetch("x", connection=url), lambda: Job.exists("x", connection=url),
        lambda: Queue.all(connection=url), lambda: get_failed_queue(url).count(), lambda: job.wait(0),
        lambda: queue.enqueue_many([Queue.prepare_data(jobs.nothing)]), lambda: queue.enqueue(jobs.nothing),
    ]  # fmt: skip

    errors = await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    assert [type(error) for error in errors] == [QueueUnavailable] * len(calls)
    await queue.aclose()


async def test_a_worker_does_not_begin_where_nobody_listens(hurry: None) -> None:
    with pytest.raises(QueueUnavailable):
        await Worker(["default"], f"redis://127.0.0.1:{free_port()}/0").work(burst=True)


async def test_a_wait_ends_at_its_own_timeout_while_redis_is_away(queue: Queue, own_server: Server) -> None:
    job = await queue.enqueue(jobs.nothing)
    own_server.kill()

    with pytest.raises(TimeoutError):
        await job.wait(0.3)


async def test_calls_wait_for_a_server_that_comes_back(queue: Queue, own_server: Server) -> None:
    own_server.kill()
    enqueues = [asyncio.create_task(queue.enqueue(jobs.nothing, job_id=f"j{n}")) for n in range(20)]
    await wait_until(lambda: has_noticed(queue))
    own_server.start()

    made = await asyncio.gather(*enqueues)

    assert [job.id for job in made] == [f"j{n}" for n in range(20)]
    assert (await queue.get_job_ids())[-20:] == [job.id for job in made]


async def test_an_outage_is_told_once_and_its_end_too(
    queue: Queue, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aqueue")
    own_server.kill()
    calls = [asyncio.create_task(queue.count()) for _ in range(5)]
    await wait_until(lambda: has_noticed(queue))
    own_server.start()
    await asyncio.gather(*calls)

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert "does not answer, trying again" in lines[0]
    assert "answers again, after" in lines[1]


async def test_a_server_that_refuses_writes_alone_is_not_told_of_at_each_of_them(
    queue: Queue, own_server: Server, hurry: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aqueue")
    client: Any = own_server.client()
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for _ in range(5):
        with pytest.raises(QueueUnavailable, match="read only replica"):
            await queue.pause()
        await queue.count()

    assert len(caplog.records) == 2


async def test_a_frozen_server_is_waited_for(queue: Queue, own_server: Server) -> None:
    own_server.freeze()
    enqueue = asyncio.create_task(queue.enqueue(jobs.nothing, job_id="mine"))
    calls = queue.space.connector.client()._calls
    await wait_until(lambda: calls.line is not None and calls.line._calls, description="sent")
    own_server.thaw()

    assert (await enqueue).status == "queued"
    assert await queue.get_job_ids() == ["first", "mine"]


async def test_a_server_frozen_for_too_long_leaves_the_outcome_open(
    queue: Queue, own_server: Server, hurry: None
) -> None:
    own_server.freeze()
    try:
        with pytest.raises(EnqueueUncertain) as caught:
            await queue.enqueue(jobs.nothing, job_id="mine")
    finally:
        own_server.thaw()

    await caught.value.retry()
    assert await queue.get_job_ids() == ["first", "mine"]


async def test_an_outage_leaves_no_connections_behind(queue: Queue, own_server: Server, hurry: None) -> None:
    await asyncio.gather(*(queue.count() for _ in range(30)))
    assert len(clients_of(own_server)) == 1
    for _ in range(3):
        own_server.freeze()
        await asyncio.gather(*(queue.count() for _ in range(30)), return_exceptions=True)
        own_server.thaw()

    assert await queue.count() == 1
    await wait_until(lambda: len(clients_of(own_server)) == 1)
    await queue.aclose()
    await wait_until(lambda: len(clients_of(own_server)) == 0)


async def test_a_connection_is_closed_though_the_server_takes_no_more_bytes(
    own_server: Server, hurry: None
) -> None:
    large = Queue("default", own_server.url, max_job_bytes=64_000_000)
    await large.enqueue(jobs.nothing)
    line = large.space.connector.client()._calls.line
    assert line is not None
    own_server.freeze()
    try:
        with pytest.raises(EnqueueUncertain):
            await large.enqueue("tests.api.jobs.nothing", b"x" * 32_000_000)
        await wait_until(lambda: line._closed.done(), description="closed while the server is frozen")
    finally:
        own_server.thaw()


async def test_connections_that_the_server_has_closed_cost_nothing(
    queue: Queue, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.gather(*(queue.count() for _ in range(30)))
    with admin(own_server) as client:
        assert client.client_kill_filter(_type="normal", skipme=True) == 1
    await wait_until(lambda: queue.space.connector.client()._calls.line is None, description="closed")
    begin = time.monotonic()

    await queue.enqueue(jobs.nothing)

    assert time.monotonic() - begin < 0.5
    assert caplog.records == []


async def test_forgotten_scripts_are_loaded_again(queue: Queue, own_server: Server) -> None:
    job = await queue.enqueue(jobs.nothing, job_id="mine")
    with admin(own_server) as client:
        for call in (
            lambda: queue.enqueue(jobs.nothing), queue.count, job.cancel, job.requeue, job.save_meta,
            lambda: queue.enqueue_many([Queue.prepare_data(jobs.nothing)] * 150), job.delete, queue.empty,
        ):  # fmt: skip
            client.script_flush()
            await call()

    assert await queue.count() == 0


async def test_a_server_out_of_memory_takes_no_new_jobs_but_lets_others_go_on(
    queue: Queue, own_server: Server
) -> None:
    for number in range(3):
        await queue.enqueue(jobs.nothing, job_id=f"j{number}")
    with admin(own_server) as client:
        client.config_set("maxmemory", 1)

        with pytest.raises(QueueFull, match=r"job 'mine' was not enqueued: .*out of memory"):
            await queue.enqueue(jobs.nothing, job_id="mine")
        with pytest.raises(QueueFull) as caught:
            await queue.enqueue_many(Queue.prepare_data(jobs.nothing, job_id=job_id) for job_id in "ab")
        assert (caught.value.enqueued, caught.value.not_enqueued) == ([], ["a", "b"])
        assert await queue.get_job_ids() == ["first", "j0", "j1", "j2"]
        await (await Job.fetch("j0", own_server.url)).cancel()
        assert await Worker([queue]).work(burst=True)
        assert await queue.finished_job_registry.count() == 3

        client.config_set("maxmemory", 0)
    assert (await queue.enqueue(jobs.nothing, job_id="mine")).status == "queued"


async def test_a_server_that_has_become_a_replica_is_waited_for(queue: Queue, own_server: Server) -> None:
    with admin(own_server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        enqueue = asyncio.create_task(queue.enqueue(jobs.nothing, job_id="mine"))
        cancel = asyncio.create_task((await Job.fetch("first", own_server.url)).cancel())
        await wait_until(lambda: has_noticed(queue))
        assert not enqueue.done()
        client.execute_command("REPLICAOF", "NO", "ONE")

        await asyncio.gather(enqueue, cancel)

    assert await queue.get_job_ids() == ["mine"]


async def test_a_replica_for_ever_means_surely_not_enqueued(
    queue: Queue, own_server: Server, hurry: None
) -> None:
    with admin(own_server) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
        with pytest.raises(QueueUnavailable, match="job 'mine' was not enqueued") as caught:
            await queue.enqueue(jobs.nothing, job_id="mine")
        assert not isinstance(caught.value, EnqueueUncertain)
        client.execute_command("REPLICAOF", "NO", "ONE")


def is_loading(server: Server) -> bool:
    try:
        with admin(server) as client:
            client.ping()
    except BusyLoadingError:
        return True
    except ConnectionError:
        pass
    return False


async def test_a_server_that_still_loads_its_data_is_waited_for() -> None:
    with Server("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024") as server:
        queue = Queue(connection=server.url)
        await queue.enqueue_many(Queue.prepare_data(jobs.echo, (bytes(200),)) for _ in range(300))
        with admin(server) as client:
            client.execute_command("BGREWRITEAOF")
            await wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)
        restart = asyncio.create_task(asyncio.to_thread(server.restart))
        await wait_until(lambda: is_loading(server))

        job = await queue.enqueue(jobs.nothing, job_id="mine")

        await restart
        assert job.status == "queued"
        assert await queue.count() == 301
        await queue.aclose()


async def test_a_full_house_of_clients_is_waited_for(queue: Queue, own_server: Server) -> None:
    await queue.aclose()
    with admin(own_server) as client:
        client.config_set("maxclients", 1)
        enqueue = asyncio.create_task(queue.enqueue(jobs.nothing, job_id="mine"))
        await wait_until(lambda: has_noticed(queue))
        assert not enqueue.done()
        client.config_set("maxclients", 100)
        await enqueue

    assert await queue.get_job_ids() == ["first", "mine"]


@pytest.mark.parametrize("binary", [None, redis_binary()], ids=["Valkey", "Redis"])
async def test_a_password_that_is_asked_for_now_is_a_refusal(binary: str | None) -> None:
    """A Redis that does not know CLIENT SETINFO lets strangers in, and finds our calls too long for one."""
    with Server(binary=binary, aof=False) as server, admin(server) as client:
        queue = Queue(connection=server.url)
        await queue.enqueue(jobs.nothing)
        await queue.aclose()
        client.config_set("requirepass", "secret")

        with pytest.raises(QueueUnavailable, match="job 'mine' was not enqueued") as caught:
            await queue.enqueue(jobs.nothing, job_id="mine")
        assert caught.value.refused
        await queue.aclose()


async def test_a_foreign_key_in_our_way_is_named_and_nothing_is_changed(
    queue: Queue, own_server: Server, stored: Any
) -> None:
    with admin(own_server) as client:
        client.set(queue.space.keys.registry("queue", "low"), "not ours")
        low = Queue("low", connection=own_server.url)
        with pytest.raises(Exception, match="WRONGTYPE") as caught:
            await low.enqueue(jobs.nothing, job_id="mine")
        assert any("lua/" in note for note in caught.value.__notes__)
        assert not await Job.exists("mine", own_server.url)


async def test_nobody_waits_for_the_patience_of_those_before_him(
    queue: Queue, own_server: Server, hurry: None
) -> None:
    own_server.freeze()
    begin = time.monotonic()
    try:
        errors = await asyncio.gather(
            *(queue.enqueue(jobs.nothing) for _ in range(2_000)), return_exceptions=True
        )
    finally:
        own_server.thaw()

    assert time.monotonic() - begin < 6  # 20 calls with patience of their own take 8 s
    kinds = [type(error) for error in errors]
    sent = kinds.count(EnqueueUncertain)
    assert kinds == [EnqueueUncertain] * sent + [QueueUnavailable] * (2_000 - sent)
    assert 0 < sent <= 100
