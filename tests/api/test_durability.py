"""What `durability=` waits for, what it says when that does not come, and that it holds up nothing else."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from aqueue import (
    EnqueueUncertain,
    Job,
    NotReplicated,
    Queue,
    QueueFull,
    QueueUnavailable,
    SettingsError,
    Worker,
    job,
)
from aqueue._redis import durability, line, operations
from aqueue._redis.operations import NewJob
from aqueue.errors import BatchError
from aqueue.sync import Queue as SyncQueue
from tests.api import jobs
from tests.api.proxy import Proxy
from tests.sentinels import SentinelSet
from tests.servers import Server, free_port, redis_binary, smallest
from tests.support import wait_until

REDIS = redis_binary()
#: What `"fsync"` takes, as SECURITY.md says.
ASKING = ("+waitaof", "+info")
NEW = NewJob("a", "n", ["function", "f", "data", b"x"])


@pytest.fixture(scope="module")
def pair() -> Iterator[SentinelSet]:
    """A master with a replica."""
    with SentinelSet(sentinels=0) as servers:
        yield servers


@pytest.fixture
def replica(pair: SentinelSet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The replica, well again after the test; the master does not wait for it for long."""
    monkeypatch.setattr(durability, "PATIENCE_MS", 50)
    yield pair.servers[1]
    pair.servers[1].thaw()
    pair.wait_in_sync()


@pytest.fixture
def frozen(replica: Server) -> Server:
    """The replica, which answers nothing."""
    replica.freeze()
    return replica


@pytest.fixture
def url(pair: SentinelSet, namespace: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The master, as a user who may ask it, and name connections."""
    url = pair.servers[0].user(namespace, *smallest(namespace), "+wait", "+client|setname")
    monkeypatch.setenv("AQUEUE_URL", url)
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    return url


async def test_a_replica_has_the_job_when_the_call_returns(url: str, pair: SentinelSet) -> None:
    queue = Queue("q", durability="replicated:1")
    jobs_ = await asyncio.gather(*(queue.enqueue(jobs.nothing) for _ in range(50)))

    replica = pair.servers[1].client()
    assert all(replica.exists(queue.space.keys.job(each.id)) for each in jobs_)


async def test_a_job_that_too_few_replicas_have_is_named_and_is_in_the_queue(
    url: str, frozen: Server
) -> None:
    queue = Queue("q", durability="replicated:1")

    with pytest.raises(NotReplicated, match="only 0 replicas have confirmed") as caught:
        await queue.enqueue(jobs.nothing, job_id="a")

    assert (caught.value.job_id, caught.value.durability, caught.value.confirmed) == ("a", "replicated:1", 0)
    assert isinstance(caught.value, EnqueueUncertain)
    assert await queue.get_job_ids() == ["a"]


async def test_more_replicas_than_there_are_never_confirm(url: str, replica: Server) -> None:
    with pytest.raises(NotReplicated, match="only 1 replicas"):
        await Queue("q").enqueue(jobs.nothing, durability="replicated:2")


async def test_retry_waits_again_and_doubles_nothing(url: str, frozen: Server, pair: SentinelSet) -> None:
    queue = Queue("q", durability="replicated:1")
    with pytest.raises(NotReplicated) as caught:
        await queue.enqueue(jobs.nothing, job_id="a")

    with pytest.raises(NotReplicated) as again:  # nothing is written this time, and yet it waits
        await caught.value.retry()
    frozen.thaw()
    pair.wait_in_sync()
    found: Job[Any] = await again.value.retry()

    assert found.id == "a"
    assert await queue.get_job_ids() == ["a"]


async def test_a_retry_while_memory_is_full_tells_the_truth(
    url: str, frozen: Server, pair: SentinelSet
) -> None:
    queue = Queue("q", durability="replicated:1")
    with pytest.raises(NotReplicated) as caught:
        await queue.enqueue(jobs.nothing)
    client: Any = pair.servers[0].client()
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(NotReplicated) as again:
            await caught.value.retry()
        with pytest.raises(QueueFull):
            await queue.enqueue(jobs.nothing)
        frozen.thaw()
        assert (await retried(again.value)).id == caught.value.job_id
    finally:
        client.config_set("maxmemory", 0)


async def test_nothing_is_left_of_the_waiting(url: str, pair: SentinelSet) -> None:
    queue = Queue("q", durability="replicated:1")
    made = await queue.enqueue(jobs.nothing)

    client: Any = pair.servers[0].client()
    keys = {key.decode() for key in client.scan_iter(f"{queue.space.keys.prefix}*")}
    assert {client.ttl(key) for key in keys} == {-1}
    assert {queue.space.keys.job(made.id), queue.space.keys.meta("q")} < keys


async def test_retry_after_the_job_has_ended_gives_the_job(
    url: str, frozen: Server, pair: SentinelSet
) -> None:
    queue = Queue("q", durability="replicated:1")
    with pytest.raises(NotReplicated) as caught:
        await queue.enqueue(jobs.nothing)
    await Worker([queue]).work(burst=True)
    frozen.thaw()
    pair.wait_in_sync()

    found: Job[Any] = await caught.value.retry()

    assert await found.wait(5) is None
    assert await queue.count() == 0


async def test_each_way_to_enqueue_takes_it(url: str, frozen: Server) -> None:
    queue, safe = Queue("q"), Queue("safe", durability="replicated:1")
    ways = [
        lambda: queue.enqueue(jobs.nothing, durability="replicated:1"),
        lambda: queue.options(durability="replicated:1").enqueue(jobs.nothing),
        lambda: queue.enqueue_in(5, jobs.nothing, durability="replicated:1"),
        lambda: queue.enqueue(remembered),
        lambda: queue.enqueue_job(Job.create(jobs.nothing, durability="replicated:1")),
        lambda: queue.enqueue_job(Job.create(remembered)),
        lambda: queue.enqueue_many([Queue.prepare_data(jobs.nothing, durability="replicated:1")]),
        lambda: safe.enqueue(jobs.nothing),
        lambda: safe.enqueue_job(Job.create(jobs.nothing)),
        lambda: safe.enqueue_many([Queue.prepare_data(jobs.nothing)]),
        remembered.delay,
    ]

    outcomes = await asyncio.gather(*(way() for way in ways), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [NotReplicated] * len(ways)


@job("q", durability="replicated:1")
async def remembered() -> None:
    """A job that is not to be lost."""


async def test_a_call_may_ask_for_less_than_its_queue_and_waits_behind_none_that_asks_for_more(
    url: str, frozen: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_MS", 3_000)
    queue = Queue("q", durability="replicated:1")
    safe = asyncio.ensure_future(queue.enqueue(jobs.nothing))

    await queue.enqueue(jobs.nothing, durability="local")

    assert not safe.done()
    frozen.thaw()
    await safe


async def test_what_waits_holds_up_no_other_queue_and_no_other_durability(
    url: str, frozen: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_MS", 3_000)
    queues = [Queue(f"q{number}", durability=f"replicated:{1 + number % 2}") for number in range(6)]
    waiting = [asyncio.ensure_future(queue.enqueue(jobs.nothing)) for queue in queues]

    async def are_stored() -> bool:
        return all([await queue.count() for queue in queues])

    await wait_until(are_stored)

    assert not any(each.done() for each in waiting)
    frozen.thaw()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_close_ends_none_of_it_and_leaves_nothing_open(
    url: str, frozen: Server, pair: SentinelSet
) -> None:
    queues = [
        Queue(f"q{number}", f"{url}?client_name=closing", durability="replicated:1") for number in range(3)
    ]
    waiting = [asyncio.ensure_future(queue.enqueue(jobs.nothing)) for queue in queues * 80]
    await wait_until(queues[0].count)

    await queues[0].aclose()
    found = await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(each) for each in found} == {NotReplicated}
    client: Any = pair.servers[0].client()
    await wait_until(lambda: not [each for each in client.client_list() if each["name"] == "closing"])
    late = line.Switchboards(queues[0].space.connector.source)
    await late.aclose()
    with late.board() as board:
        assert board.is_closed  # its line is closed after the last call on it


@pytest.mark.usefixtures("replica")
async def test_so_many_queues_share_a_few_connections(url: str, pair: SentinelSet) -> None:
    queues = [Queue(f"q{number}", durability="replicated:1") for number in range(3 * line.MOST)]
    await asyncio.gather(*(queue.enqueue(jobs.nothing) for queue in queues))

    client: Any = pair.servers[0].client()
    ours = [each for each in client.client_list() if each["cmd"] in ("wait", "evalsha|wait")]
    assert 1 < len(ours) <= line.MOST
    await queues[0].aclose()
    assert not [each for each in client.client_list() if each["cmd"] == "wait"]


async def test_jobs_that_share_a_call_share_its_answer_and_each_has_an_error_of_its_own(
    url: str, frozen: Server
) -> None:
    queue = Queue("q", durability="replicated:1")
    ids = [f"j{number}" for number in range(20)]

    found = await asyncio.gather(
        *(queue.enqueue(jobs.nothing, job_id=each) for each in ids), return_exceptions=True
    )

    assert [each.job_id for each in found if isinstance(each, NotReplicated)] == ids
    assert await queue.get_job_ids() == ids


async def test_many_jobs_of_several_durabilities_keep_their_order(url: str, replica: Server) -> None:
    queue = Queue("q")
    datas = [
        Queue.prepare_data(jobs.nothing, job_id=f"j{number}", durability=wanted)
        for number, wanted in enumerate([None, "replicated:1", "replicated:1", "local", "replicated:1"])
    ]
    replica.freeze()
    with pytest.raises(NotReplicated) as caught:
        await queue.enqueue_many(datas)
    assert (caught.value.enqueued, caught.value.not_enqueued) == (["j0", "j1", "j2"], ["j3", "j4"])
    assert await queue.get_job_ids() == ["j0", "j1", "j2"]

    replica.thaw()
    made = await retried(caught.value)

    assert [each.id for each in made] == [f"j{number}" for number in range(5)] == await queue.get_job_ids()


async def retried(error: NotReplicated) -> Any:
    """What a call gives in the end: the replica may not have caught up at once."""
    while True:
        try:
            return await error.retry()
        except NotReplicated as again:
            error = again


def test_without_a_loop_it_is_the_same(url: str, frozen: Server, pair: SentinelSet) -> None:
    with SyncQueue("q", durability="replicated:1") as queue:
        with pytest.raises(NotReplicated, match=r"`error.retry\(\)`") as caught:
            queue.enqueue(jobs.nothing, job_id="a")
        frozen.thaw()
        pair.wait_in_sync()

        assert caught.value.retry().id == "a"
        assert queue.enqueue(jobs.nothing, durability="replicated:1").id in queue.get_job_ids()


# -- "fsync"


async def test_the_disk_has_the_job_when_the_call_returns(namespace: str) -> None:
    with Server("--appendfsync", "everysec").limited(namespace, *ASKING) as server:
        queue = Queue("q", connection=server.url, namespace=namespace, durability="fsync")
        made = await queue.enqueue(jobs.nothing)

        log = b"".join(path.read_bytes() for path in server.folder.rglob("*.incr.aof"))
        assert made.id.encode() in log
        await queue.aclose()


async def test_a_disk_that_is_never_written_confirms_nothing(
    namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durability, "PATIENCE_MS", 50)
    with Server("--appendfsync", "no").limited(namespace, *ASKING) as server:
        queue = Queue("q", connection=server.url, namespace=namespace, durability="fsync")
        with pytest.raises(NotReplicated, match="the disk has not confirmed") as caught:
            await queue.enqueue(jobs.nothing)
        with pytest.raises(NotReplicated) as again:
            await caught.value.retry()

        client: Any = server.client()
        client.config_set("appendfsync", "always")

        assert (await again.value.retry()).origin == "q"
        await queue.aclose()


async def test_who_may_not_ask_for_it_stores_nothing(namespace: str) -> None:
    with Server() as server:
        url = server.user("ann", *smallest(namespace))
        queue = Queue("q", connection=url, namespace=namespace, durability="replicated:1")
        with pytest.raises(QueueUnavailable, match=r"lacks permissions.*'wait'") as caught:
            await queue.enqueue(jobs.nothing)

        assert caught.value.refused
        assert not caught.value.uncertain
        assert await queue.count() == 0
        await queue.aclose()


async def test_a_server_without_an_aof_is_refused_before_anything_is_stored(
    server: Server, namespace: str
) -> None:
    is_there = not is_old(os.environ.get("AQUEUE_TEST_SERVER"))
    refusal = "needs `appendonly yes` in the server's settings" if is_there else "needs Redis 7.2"
    for queue in (
        Queue("q", connection=server.url, namespace=namespace, durability="fsync"),
        SyncQueue("q", connection=server.url, namespace=namespace, durability="fsync"),
    ):
        for _ in range(2):
            with pytest.raises(SettingsError, match=refusal):
                await asyncio.to_thread(queue.enqueue, jobs.nothing) if isinstance(queue, SyncQueue) else (
                    await queue.enqueue(jobs.nothing)
                )
    assert await Queue("q", connection=server.url, namespace=namespace).count() == 0


async def test_an_aof_that_is_turned_off_is_told_and_the_next_call_stores_nothing(namespace: str) -> None:
    with Server().limited(namespace, *ASKING) as server:
        queue = Queue("q", connection=server.url, namespace=namespace, durability="fsync")
        await queue.enqueue(jobs.nothing)
        client: Any = server.client()
        client.config_set("appendonly", "no")
        with pytest.raises(NotReplicated, match="is in the queue, but the disk has not confirmed") as caught:
            await queue.enqueue(jobs.nothing)
        for again in (caught.value.retry, lambda: queue.enqueue(jobs.nothing)):
            with pytest.raises(SettingsError, match="appendonly yes"):
                await again()

        assert caught.value.job_id in await queue.get_job_ids()
        assert await queue.count() == 2
        await queue.aclose()


@pytest.mark.parametrize("wanted", ["replicated:1", "fsync"])
async def test_a_replica_is_away_like_a_master_that_is_cut_off(
    pair: SentinelSet, namespace: str, wanted: str
) -> None:
    url, name = pair.servers[1].url, namespace
    queue, sync = Queue("q", url, namespace=name, durability=wanted), SyncQueue("q", url, namespace=name)
    operation = operations.enqueue(queue.space.keys, "q", [dataclasses.replace(NEW, durability=wanted)])
    with pytest.raises(QueueUnavailable, match="replica") as caught:
        await queue.space.client.run(operation, patience=0.1)
    with pytest.raises(QueueUnavailable, match="replica") as blocking:
        sync._queue.space.connector.sync_client().run(operation, patience=0.1)

    assert [error.value.uncertain for error in (caught, blocking)] == [False, False]
    await queue.aclose()
    sync.close()


async def test_who_may_ask_no_more_hears_that_the_job_may_be_there(
    url: str, namespace: str, pair: SentinelSet
) -> None:
    queue = Queue("q", durability="replicated:1")
    await queue.enqueue(jobs.nothing)
    client: Any = pair.servers[0].client()
    client.execute_command("ACL", "SETUSER", namespace, "-wait")
    with pytest.raises(EnqueueUncertain, match=r"lacks permissions.*'wait'") as caught:
        await queue.enqueue(jobs.nothing)
    assert caught.value.job_id in await queue.get_job_ids()
    client.execute_command("ACL", "SETUSER", namespace, "+wait")

    assert (await caught.value.retry()).id == caught.value.job_id
    assert await queue.count() == 2


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.usefixtures("hurry")
async def test_who_takes_a_job_and_is_a_replica_before_it_waits_may_keep_it(
    own_server: Server, namespace: str, blocking: bool
) -> None:
    client: Any = own_server.client()

    def demote() -> None:
        while not client.exists(queue.space.keys.job("a")):
            pass
        client.replicaof("127.0.0.1", free_port())

    async with Proxy(own_server.user("asking", *smallest(namespace), "+wait")) as proxy:
        queue = Queue("q", connection=proxy.url, namespace=namespace)
        await queue.enqueue(jobs.nothing)  # now the server has the script
        proxy.on(b"*3\r\n$7\r\nPEXPIRE\r\n", "part", meanwhile=demote)
        operation = operations.enqueue(
            queue.space.keys, "q", [dataclasses.replace(NEW, durability="replicated:1")]
        )
        if blocking:
            sync = queue.space.connector.sync_client()
            with pytest.raises(QueueUnavailable) as caught:
                await asyncio.to_thread(sync.run, operation, patience=0.1)
            assert caught.value.uncertain
            sync.close()
        else:
            with pytest.raises(EnqueueUncertain, match="read only replica"):
                await queue.enqueue(jobs.nothing, job_id="a", durability="replicated:1")
        assert client.hget(queue.space.keys.job("a"), "status") == b"queued"
        await queue.aclose()


def is_old(program: str | None) -> bool:
    """Whether the system's Redis has no WAITAOF."""
    if program is None:
        return False
    text = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(map(int, text.partition("v=")[2].split(" ")[0].split(".")[:2])) < (7, 2)


@pytest.mark.skipif(not is_old(REDIS), reason="needs a Redis older than 7.2 of the system")
async def test_a_server_that_is_too_old_is_named(namespace: str) -> None:
    with Server(binary=REDIS).limited(namespace, "+info") as server:
        queue = Queue("q", connection=server.url, namespace=namespace, durability="fsync")
        with pytest.raises(SettingsError, match=r"needs Redis 7.2 or Valkey 7.2.*this is Redis [67]\."):
            await queue.enqueue(jobs.nothing)

        assert await queue.count() == 0
        await queue.aclose()


# -- misuse


@pytest.mark.parametrize(
    "wanted",
    ["replicated", "replicated:0", "replicated:-1", "replicated:01", "replicated:1000", "Local", "", 1, True],
)
def test_what_is_no_durability_is_refused_at_once(url: str, wanted: Any) -> None:
    with pytest.raises(SettingsError, match=r"durability=.* must be \"local\", \"replicated:N\""):
        Queue(durability=wanted)
    with pytest.raises(SettingsError, match="durability="):
        Queue().options(durability=wanted)
    with pytest.raises(SettingsError, match="durability="):
        job("q", durability=wanted)


def test_the_error_can_be_copied_to_another_process() -> None:
    error = NotReplicated("a", durability="replicated:2", confirmed=1)
    copy = pickle.loads(pickle.dumps(error))

    assert (copy.job_id, copy.durability, copy.confirmed) == ("a", "replicated:2", 1)
    assert isinstance(copy, BatchError)
    assert str(copy) == str(error)
