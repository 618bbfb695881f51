"""Queues, workers and commands behind sentinels; what a failover does to them is in tests/chaos."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio.sentinel import Sentinel as Sentinels
from redis.connection import Connection
from redis.exceptions import InvalidResponse
from typer.testing import CliRunner

from aqueue import Queue, QueueUnavailable, Worker
from aqueue._redis import sentinels
from aqueue.cli.app import app
from aqueue.sync import Queue as SyncQueue
from tests.api import jobs
from tests.sentinels import SERVICE, Sentinel, SentinelSet, wait_for
from tests.servers import Server, free_port, smallest
from tests.support import wait_until

HELLO = jobs.say_hello("you")


@pytest.fixture(scope="module")
def watched() -> Iterator[SentinelSet]:
    """A master and one sentinel."""
    with SentinelSet(replicas=0, sentinels=1).limited("+role") as running:
        yield running


@pytest.fixture
def other() -> Iterator[Server]:
    """A server that becomes the master."""
    with Server(aof=False).limited("aqueue", "+role") as running:
        yield running


async def works(connection: Any) -> None:
    """A job goes through a queue and a worker, and its result comes back."""
    queue = Queue(connection=connection)
    job = await queue.enqueue(jobs.say_hello, "you")
    assert await Worker([queue]).work(burst=True)
    assert await job.wait(5) == HELLO
    await queue.aclose()


async def test_a_job_goes_through_by_the_url(watched: SentinelSet) -> None:
    await works(watched.url)


async def test_a_job_goes_through_by_the_environment(
    watched: SentinelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQUEUE_URL", watched.url)
    await works(None)


async def test_a_job_goes_through_by_a_client_made_by_master_for(watched: SentinelSet) -> None:
    sentinel: Any = Sentinels([("127.0.0.1", watched.sentinels[0].port)])  # type: ignore[no-untyped-call]
    client = sentinel.master_for(SERVICE, decode_responses=True)

    await works(client)

    await client.aclose()
    await sentinel.aclose()


def test_a_job_goes_through_without_a_loop(watched: SentinelSet) -> None:
    with SyncQueue("sync", connection=watched.url) as queue:
        job = queue.enqueue(jobs.say_hello, "you")
        asyncio.run(Worker(["sync"], connection=watched.url).work(burst=True))

        assert job.wait(5) == HELLO


async def test_idle_connections_follow_the_master_when_one_of_them_learns_of_it(
    watched: SentinelSet, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = watched.master
    async with Queue("moved", connection=watched.url) as queue, Worker([queue]).running():
        await (await queue.enqueue(jobs.nothing)).wait(5)
        watched.point_at(other)
        monkeypatch.setattr(sentinels, "RENEWAL", 0.0)
        await asyncio.to_thread(SyncQueue("moved", connection=watched.url).count)

        job = await queue.enqueue(jobs.say_hello, "you")

        assert await job.wait(5) == HELLO
        assert other.client().exists(f"{{aqueue}}:job:{job.id}")
        await wait_until(lambda: clients(first) == set(), description="nobody is left at the old master")
    watched.point_at(first)


def clients(server: Server) -> set[str]:
    """Which commands the connections of ours made last there."""
    client: Any = server.client()
    return {each["cmd"] for each in client.client_list()} & {"evalsha", "blpop", "subscribe", "role", "hmget"}


async def test_a_server_that_is_no_master_by_its_own_word_is_not_used(
    watched: SentinelSet, other: Server
) -> None:
    first = watched.master
    client: Any = first.client()
    client.replicaof("127.0.0.1", str(other.port))
    async with Queue("demoted", connection=f"{watched.url}") as queue:
        enqueuing = asyncio.ensure_future(queue.enqueue(jobs.nothing))
        await wait_until(lambda: queue.space.client.is_down)
        client.replicaof("NO", "ONE")

        job = await enqueuing

        assert client.exists(f"{{aqueue}}:job:{job.id}")


async def test_who_may_not_ask_for_the_role_believes_the_sentinel(watched: SentinelSet) -> None:
    watched.master.user("small", *smallest("aqueue"))
    hosts = watched.url.removeprefix("sentinel://").rpartition("@")[2]

    await works(f"sentinel://small:secret@{hosts}")


async def test_jobs_go_on_without_any_sentinel_where_the_master_is_known() -> None:
    with SentinelSet(replicas=0, sentinels=1).limited() as watched:
        async with Queue(connection=watched.url) as queue:
            await queue.enqueue(jobs.nothing)
            watched.sentinels[0].kill()
            client: Any = watched.servers[0].client()
            client.client_kill_filter(_type="normal", skipme=True)

            await queue.enqueue(jobs.nothing)

            assert await queue.count() == 2


async def fails(url: str) -> str:
    """How a call ends that Redis has no chance to answer."""
    async with Queue(connection=url) as queue:
        with pytest.raises(QueueUnavailable) as caught:
            await queue.space.connector.client().ping(patience=0.2)
    return str(caught.value)


async def test_sentinels_that_do_not_answer_are_named() -> None:
    port = free_port()

    text = await fails(f"sentinel://127.0.0.1:{port}/mymaster/0")

    assert "no sentinel tells where the master 'mymaster' is" in text
    assert f"127.0.0.1:{port}: Connection refused" in text


async def test_a_master_that_the_sentinels_do_not_know_is_named(watched: SentinelSet) -> None:
    text = await fails(watched.url.replace(SERVICE, "theirmaster"))

    assert f"127.0.0.1:{watched.sentinels[0].port} knows none of that name" in text
    assert "'theirmaster'" in text


async def test_the_password_of_the_sentinels_is_theirs_alone(watched: SentinelSet) -> None:
    sentinel = Sentinel(watched.master.port, "requirepass secret", quorum=1)
    sentinel.start()
    try:
        url = f"sentinel://127.0.0.1:{sentinel.port}/{SERVICE}/0"
        wait_for(lambda: sentinel.client(password="secret").ping(), "the sentinel's answer")

        assert "sentinel_password=" in await fails(url)
        assert "refuses" in await fails(f"{url}?sentinel_password=wrong")
        await works(f"{url}?sentinel_password=secret")
    finally:
        sentinel.kill()


async def test_commands_take_the_url(watched: SentinelSet) -> None:
    await works(watched.url)

    result = await asyncio.to_thread(CliRunner().invoke, app, ["info", "--url", watched.url, "--json"])

    assert result.exit_code == 0, result.stderr
    assert '"default"' in result.stdout


@pytest.mark.parametrize(
    "reply",
    [
        [],
        [b"h"],
        [b"h", b"p"],
        [b"h", b"0"],
        [b"h", b"65536"],
        [b"h", b"1", b"2"],
        b"h:1",
        [b"\xff", b"1"],
        [1, 2],
    ],
)
def test_what_is_no_address_is_an_answer_like_any_other_that_is_of_no_use(reply: Any) -> None:
    with pytest.raises(InvalidResponse, match="it names no address"):
        sentinels.Sentinels([("h", 1)], "m", "Connection", {}).named(reply)


async def test_a_server_that_is_no_sentinel_is_named(server: Server) -> None:
    text = await fails(server.url.replace("redis://", "sentinel://").replace("/0", "/mymaster/0"))

    assert f"127.0.0.1:{server.port}: unknown command 'SENTINEL'" in text


def test_what_is_open_to_other_addresses_is_cut_and_after_a_fork_nothing_is() -> None:
    known = sentinels.Sentinels([("h", 1)], "m", "Connection", {})
    cut: list[Any] = []
    here, there, elsewhere = (Connection() for _ in range(3))  # type: ignore[no-untyped-call]
    known.reached(here, ("a", 1), cut.append)
    known.reached(there, ("a", 1), cut.append)
    assert cut == []

    known.reached(elsewhere, ("b", 1), cut.append)
    assert cut == [here, there]
    assert known.is_due(here)
    assert not known.is_due(elsewhere)

    known.forget()
    known.moved(("c", 1))
    assert cut == [here, there]
