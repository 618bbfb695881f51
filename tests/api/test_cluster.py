"""One node of a cluster: the one that has the namespace's slot serves, the others say which one it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio
from typer.testing import CliRunner

from aqueue import Job, Queue, QueueUnavailable, SettingsError, Worker
from aqueue import sync as blocking
from aqueue.cli.app import app
from aqueue.worker import maintenance
from tests.api import jobs
from tests.api.admin import admin, calls_of
from tests.clusters import ClusterSet, slot_of
from tests.servers import Server
from tests.support import wait_until
from tests.worker.conftest import probe as probe
from tests.worker.conftest import probe_name as probe_name
from tests.worker.hands import record, working
from tests.worker.jobs import Probe, hold

HELLO = jobs.say_hello("you")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterSet]:
    """Three masters, each with a replica."""
    with ClusterSet(6) as running:
        yield running


@pytest.fixture
def slot(namespace: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The slot of this test's namespace."""
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    return slot_of(namespace)


@pytest.fixture
def owner(cluster: ClusterSet, slot: int) -> Server:
    """The master that has it."""
    return cluster.owner(slot)


@pytest.fixture(params=["stranger", "replica"])
def wrong(cluster: ClusterSet, slot: int, owner: Server, request: pytest.FixtureRequest) -> Server:
    """A node that does not serve it: another master, and the owner's own replica."""
    return cluster.stranger(slot) if request.param == "stranger" else cluster.replica(owner)


def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


async def wait_until_told(queue: Queue) -> None:
    await wait_until(lambda: queue.space.client.is_down, description="a call that is refused")


# -- the node that has the slot


async def test_a_job_goes_through_the_owner_of_the_slot(owner: Server) -> None:
    async with Queue(connection=owner.url) as queue:
        job = await queue.enqueue(jobs.say_hello, "you")
        later = await queue.enqueue_in(0.05, jobs.say_hello, "you")
        async with working(queue):
            assert [await job.wait(5), await later.wait(5)] == [HELLO, HELLO]


def test_a_job_goes_through_the_owner_without_a_loop(owner: Server) -> None:
    with blocking.Queue("sync", connection=owner.url) as queue:
        job = queue.enqueue(jobs.say_hello, "you")
        asyncio.run(Worker(["sync"], connection=owner.url).work(burst=True))

        assert job.wait(5) == HELLO


def test_commands_work_at_the_owner(owner: Server) -> None:
    for command in (
        ["enqueue", "tests.api.jobs.fail"],
        ["worker", "--burst"],
        ["requeue", "--all"],
        ["info"],
    ):
        ended = CliRunner().invoke(app, [*command, "--url", owner.url])
        assert ended.exit_code == 0, ended.output

    ended = CliRunner().invoke(app, ["doctor", "--url", owner.url])
    assert "a node of a cluster" in ended.output


# -- another node

CALLS: list[Callable[[Queue], Awaitable[Any]]] = [
    lambda queue: queue.enqueue(jobs.nothing),
    lambda queue: queue.enqueue(jobs.nothing, durability="replicated:1"),
    lambda queue: queue.enqueue_many([Queue.prepare_data(jobs.nothing)]),
    lambda queue: queue.enqueue_in(5, jobs.nothing),
    lambda queue: queue.count(),
    lambda queue: queue.get_job_ids(),
    lambda queue: queue.fetch_job("a"),
    lambda queue: queue.empty(),
    lambda queue: queue.pause(),
    lambda queue: queue.failed_job_registry.requeue_all(),
    lambda queue: Job.fetch("a", queue.space.connector),  # type: ignore[arg-type]
    lambda queue: Queue.all(connection=queue.space.connector),  # type: ignore[arg-type]
    lambda queue: Worker.all(queue=queue),
    lambda queue: Worker([queue]).work(burst=True),
]


async def test_every_call_at_another_node_is_refused_at_once_and_names_the_owner(
    wrong: Server, owner: Server, slot: int
) -> None:
    async with Queue(connection=wrong.url) as queue:
        for call in CALLS:
            with pytest.raises(
                QueueUnavailable, match=rf"{address(owner)} of the cluster has slot {slot}"
            ) as caught:
                await call(queue)
            assert caught.value.refused
            assert caught.value.moved_to == address(owner)
    with admin(owner) as client:
        assert not client.keys(f"{queue.space.keys.prefix}*")


def test_a_call_without_a_loop_is_refused_likewise(wrong: Server, owner: Server) -> None:
    with blocking.Queue(connection=wrong.url) as queue:
        with pytest.raises(QueueUnavailable, match="was not enqueued") as caught:
            queue.enqueue(jobs.nothing)
        assert caught.value.moved_to == address(owner)
        with pytest.raises(QueueUnavailable):
            queue.count()


@pytest.mark.parametrize(
    "command",
    [["worker"], ["worker", "--processes", "2"], ["enqueue", "tests.api.jobs.nothing"], ["info"], ["doctor"]],
    ids=" ".join,
)
def test_commands_say_in_one_line_which_node_to_name(
    cluster: ClusterSet, slot: int, owner: Server, command: list[str]
) -> None:
    wrong = cluster.stranger(slot)

    ended = CliRunner().invoke(app, [*command, "--url", wrong.url])

    assert ended.exit_code == 78
    assert ended.stderr.splitlines()[-1] == (
        f"aqueue: Redis at {wrong.url} does not have this namespace: {address(owner)} of the cluster "
        f"has slot {slot} (MOVED). Give the URL of that node"
    )


async def test_a_client_of_a_cluster_is_refused() -> None:
    client = redis.asyncio.RedisCluster(host="127.0.0.1", port=1)

    with pytest.raises(SettingsError, match="give the URL of the node that has the namespace's slot"):
        Queue(connection=client)  # type: ignore[arg-type]


# -- the slot's master changes


async def test_a_worker_waits_while_another_node_is_the_master_and_records_what_ended_meanwhile(
    cluster: ClusterSet,
    owner: Server,
    slot: int,
    probe: Probe,
    probe_name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Queue(connection=owner.url) as queue, working(queue):
        held = await queue.enqueue(hold, probe_name, "ended meanwhile")
        await wait_until(lambda: probe.running)
        new = await asyncio.to_thread(cluster.fail_over, slot)
        probe.open()
        with pytest.raises(QueueUnavailable, match="was not enqueued") as caught:
            await queue.enqueue(jobs.nothing)
        assert caught.value.moved_to == address(new)
        await wait_until_told(queue)
        assert await asyncio.to_thread(cluster.fail_over, slot) is owner

        assert await held.wait(10) == "ended meanwhile"
        assert await (await queue.enqueue(jobs.say_hello, "you")).wait(10) == HELLO
        assert (await record(held, queue.space)).lost == 0
    assert probe.starts == 1
    assert f"{address(new)} of the cluster has slot {slot} (MOVED)" in caplog.text


async def test_a_worker_whose_node_does_not_become_the_master_again_ends_and_says_so(
    cluster: ClusterSet, owner: Server, slot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "REFUSED_PATIENCE", 0.3)
    monkeypatch.setattr(maintenance, "INTERVAL", 0.1)
    async with Queue(connection=owner.url) as queue:
        worker = Worker([queue])
        working = asyncio.create_task(worker.work())
        assert await (await queue.enqueue(jobs.say_hello, "you")).wait(10) == HELLO
        new = await asyncio.to_thread(cluster.fail_over, slot)

        with pytest.raises(QueueUnavailable) as caught:
            await working
        assert caught.value.moved_to == address(new)


# -- the slot is being moved


async def test_while_a_slot_is_moved_calls_wait_and_none_is_half_done(
    cluster: ClusterSet, owner: Server, slot: int, probe: Probe, probe_name: str
) -> None:
    async with Queue(connection=owner.url) as queue, working(queue):
        held = await queue.enqueue(hold, probe_name, "ended meanwhile")
        other = Queue("other", owner.url)  # which nobody works on
        await other.enqueue(jobs.nothing, job_id="first")
        await wait_until(lambda: probe.running)
        with cluster.giving_away(slot):
            before, calls = dump(owner, queue), calls_of(owner, "evalsha")
            probe.open()
            enqueue = asyncio.create_task(other.enqueue(jobs.nothing, job_id="second"))
            remove = asyncio.create_task(other.remove("first"))
            count = asyncio.create_task(other.count())
            await wait_until(lambda: not probe.running and calls_of(owner, "evalsha") > calls + 8)
            assert dump(owner, queue) == before
        await asyncio.gather(enqueue, remove, count)

        assert await held.wait(10) == "ended meanwhile"
        assert await other.get_job_ids() == ["second"]
    assert probe.starts == 1


def dump(server: Server, queue: Queue) -> dict[bytes, bytes]:
    """All that the server holds of a namespace."""
    with admin(server) as client:
        return {key: client.dump(key) for key in client.scan_iter(f"{queue.space.keys.prefix}*")}
