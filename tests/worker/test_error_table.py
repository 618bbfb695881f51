"""Whatever a real server answers, or fails to answer: programs and workers do what is right for it.

The rows are in tests/api/troubles.py, the table that decides is `aqueue._redis.faults`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from aqueue import EnqueueUncertain, Job, Queue, QueueFull, QueueUnavailable, Worker
from aqueue._redis.scripts import load
from aqueue.sync import Queue as SyncQueue
from aqueue.worker import maintenance
from tests import tasks
from tests.api.conftest import hurry as hurry
from tests.api.proxy import Action, Proxy
from tests.api.troubles import OOM, PASSING, REFUSING, Trouble
from tests.clusters import lone_node
from tests.sentinels import Sentinel, wait_for
from tests.servers import Server
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker, record, working
from tests.worker.jobs import Probe

rows = pytest.mark.parametrize("trouble", PASSING, ids=lambda trouble: trouble.name)
everything = pytest.mark.parametrize("trouble", [*PASSING, *REFUSING], ids=lambda trouble: trouble.name)
refusals = pytest.mark.parametrize("trouble", REFUSING, ids=lambda trouble: trouble.name)


@pytest.fixture
def own_server(trouble: Trouble) -> Any:
    start = lone_node if "--cluster-enabled" in trouble.settings else Server
    with start(*trouble.settings) as server:
        yield server


@pytest.fixture
async def own_queue(own_server: Server) -> AsyncIterator[Queue]:
    async with Queue("default", connection=own_server.url) as queue:
        yield queue


def has_noticed(queue: Queue) -> bool:
    """Whether a try has failed."""
    return queue.space.client.is_down


@rows
async def test_an_enqueue_waits_until_it_is_over_and_is_in_once(
    trouble: Trouble, own_server: Server, own_queue: Queue
) -> None:
    await own_queue.enqueue(tasks.add, 1, 2, job_id="first")
    with trouble.on(own_server) as cure:
        if trouble.answer:
            assert trouble.answer_of(own_server).startswith(trouble.answer)
        enqueue = asyncio.create_task(own_queue.enqueue(tasks.add, 3, 4, job_id="mine"))
        if trouble.name not in ("NOSCRIPT", "frozen"):
            await wait_until(lambda: has_noticed(own_queue) or enqueue.done())
        await asyncio.to_thread(cure)

        assert (await enqueue).status == "queued"
    assert await own_queue.get_job_ids() == ["first", "mine"]


@everything
async def test_a_worker_records_what_ended_meanwhile_and_goes_on(
    trouble: Trouble, own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(own_queue, lease=2):
        held = await own_queue.enqueue(jobs.hold, probe_name, "ended in trouble")
        await wait_until(lambda: probe.running)
        with trouble.on(own_server) as cure:
            probe.open()
            await wait_until(lambda: not probe.running)
            if trouble.name not in ("NOSCRIPT", "frozen"):
                await wait_until(lambda: has_noticed(own_queue))
            await asyncio.to_thread(cure)

        assert await held.wait(10) == "ended in trouble"
        later = await own_queue.enqueue(tasks.add, 1, 2)
        assert await later.wait(10) == 3
    assert probe.starts == 1
    assert (await record(held, own_queue.space)).lost == 0


@pytest.mark.parametrize("trouble", [OOM], ids=["OOM"])
async def test_a_full_redis_takes_no_new_jobs_and_lets_the_others_end(
    trouble: Trouble, own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(own_queue, lease=2):
        held = await own_queue.enqueue(jobs.hold, probe_name, "ended in trouble")
        await wait_until(lambda: probe.running)
        with trouble.on(own_server):
            assert trouble.answer_of(own_server).startswith(trouble.answer)
            with pytest.raises(QueueFull, match="job 'mine' was not enqueued"):
                await own_queue.enqueue(tasks.add, 1, 2, job_id="mine")
            probe.open()
            assert await held.wait(10) == "ended in trouble"
            assert not await Job.exists("mine", own_server.url)
    assert probe.starts == 1


@refusals
async def test_a_refusal_is_told_at_once_and_nothing_is_made(
    trouble: Trouble, own_server: Server, own_queue: Queue
) -> None:
    await own_queue.enqueue(tasks.add, 1, 2, job_id="first")
    with trouble.on(own_server):
        assert trouble.answer_of(own_server).startswith(trouble.answer)
        with pytest.raises((QueueUnavailable, EnqueueUncertain)):  # who meets the cut does not know
            await own_queue.enqueue(tasks.add, 5, 6, job_id="cut")
        with pytest.raises(QueueUnavailable, match="job 'mine' was not enqueued") as caught:
            await own_queue.enqueue(tasks.add, 3, 4, job_id="mine")
        assert caught.value.refused
        assert not caught.value.uncertain
    assert await own_queue.get_job_ids() == ["first"]


@refusals
async def test_a_worker_ends_when_its_credentials_stay_refused(
    trouble: Trouble,
    own_server: Server,
    own_queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(maintenance, "REFUSED_PATIENCE", 0.5)
    monkeypatch.setattr(maintenance, "INTERVAL", 0.1)
    worker = make_worker(own_queue, lease=2)
    task = asyncio.create_task(worker.work())
    assert await (await own_queue.enqueue(tasks.add, 1, 2)).wait(10) == 3
    with trouble.on(own_server), pytest.raises(QueueUnavailable, match="refuses the credentials") as caught:
        await task
    assert caught.value.refused
    assert "giving up unless that changes within 0.5 s" in caplog.text


@pytest.mark.parametrize("script", ["claim", "settle"])
@pytest.mark.parametrize("action", ["cut before", "cut after", "swallow"])
async def test_a_worker_gets_over_lost_requests_and_replies(
    url: str, queue: Queue, probe: Probe, probe_name: str, script: str, action: Action, hurry: None
) -> None:
    async with Proxy(url) as proxy:
        far = Queue("default", connection=proxy.url)
        async with working(far, lease=5):
            assert await (await queue.enqueue(tasks.add, 1, 2)).wait(10) == 3
            rule = proxy.on(load(script).sha.encode(), action)
            job = await queue.enqueue(jobs.hold, probe_name, "once")
            probe.open()

            assert await job.wait(10) == "once"
            assert rule.met == 1
        await far.aclose()
    assert probe.starts == 1


async def test_a_host_that_nobody_knows_is_named(hurry: None) -> None:
    queue = Queue(connection="redis://no-such-host.invalid:6379/0", trust_redis=True)

    with pytest.raises(QueueUnavailable, match=r"job 'mine' was not enqueued: .*no-such-host\.invalid"):
        await queue.enqueue(tasks.add, 1, 2, job_id="mine")
    await queue.aclose()


@pytest.fixture(scope="module")
def sentinel(server: Server) -> Iterator[str]:
    """A sentinel, as if it were a server."""
    running = Sentinel(server.port)
    running.start()
    wait_for(lambda: running.client().ping(), "the sentinel")
    yield f"redis://127.0.0.1:{running.port}/0"
    running.kill()


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [
        ("/4711", "has no database 4711"),
        ("/0?client_name=a%20b", "does not take client_name='a b'"),
        ("", "runs no scripts: for a sentinel the URL is sentinel://"),
    ],
)
async def test_a_server_that_is_no_use_as_it_is_named_is_told_at_once(
    server: Server, sentinel: str, suffix: str, reason: str
) -> None:
    url = server.url.replace("/0", suffix) if suffix else sentinel
    queue = Queue(connection=url)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: queue.enqueue(tasks.add, 1, 2),
        lambda: asyncio.to_thread(SyncQueue(connection=url).enqueue, tasks.add, 1, 2),
        lambda: Worker([queue]).work(burst=True),
    ]
    for call in calls:
        with pytest.raises(QueueUnavailable, match=re.escape(reason)) as caught:
            await call()
        assert (caught.value.uncertain, caught.value.refused) == (False, False)
    await queue.aclose()
