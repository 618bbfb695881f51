"""Redis forgets its scripts, goes away, comes back, refuses: the worker goes on by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import CredentialProvider
from redis.asyncio import Redis

from aqueue import Job, JobStopped, Queue, Worker
from aqueue.connection import Namespace
from aqueue.sync import Queue as SyncQueue
from tests import tasks
from tests.servers import Server
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import make_worker, record, status, working
from tests.worker.jobs import Probe

#: What a busy machine may take longer, seconds; without the limits under test it would be for ever.
SLOW = 10.0


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that a test may break; it keeps its data."""
    with Server().limited() as server:
        yield server


@pytest.fixture
def own_queue(own_server: Server) -> Queue:
    return Queue("default", connection=own_server.url)


async def test_a_worker_does_not_mind_that_the_scripts_are_flushed(queue: Queue, db: Any) -> None:
    async with working(queue, lease=1):
        for number in range(20):
            job = await queue.enqueue(tasks.add, number, 1)
            db.script_flush()
            assert await job.wait(5) == number + 1


async def test_a_worker_whose_connections_are_cut_goes_on(
    queue: Queue, db: Any, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1):
        held = await queue.enqueue(jobs.hold, probe_name, "held")
        await wait_until(lambda: probe.running)
        for number in range(5):
            db.client_kill_filter(_type="normal", skipme=True)
            db.client_kill_filter(_type="pubsub", skipme=True)
            job = await queue.enqueue(tasks.add, number, 1)
            assert await job.wait(5) == number + 1
        probe.open()
        assert await held.wait(5) == "held"

    assert probe.starts == 1


async def test_an_idle_worker_goes_on_after_a_restart(own_server: Server, own_queue: Queue) -> None:
    async with working(own_queue):
        assert await (await own_queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
        own_server.restart()
        assert await (await own_queue.enqueue(tasks.add, 3, 4)).wait(10) == 7
        own_server.kill()
        asyncio.get_running_loop().call_later(0.3, own_server.start)
        assert await (await own_queue.enqueue(tasks.add, 5, 6)).wait(10) == 11


async def test_a_server_without_subscriptions_is_looked_at_again_and_again() -> None:
    with Server("--rename-command", "SUBSCRIBE", "", aof=False) as server:
        queue = Queue(connection=server.url)
        async with queue, working(queue, lease=1):
            assert await (await queue.enqueue(tasks.add, 1, 2)).wait(10) == 3
            held = await queue.enqueue(tasks.nap, 60)
            await wait_until(lambda: has_begun(held))
            await held.stop()
            with pytest.raises(JobStopped):
                await held.wait(10)


async def has_begun(job: Job[Any]) -> bool:
    return await status(job) == "started"


class Tokens(CredentialProvider):
    """Credentials from somewhere else, which may be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.refusals = 0

    def get_credentials(self) -> tuple[str, str]:
        if self.is_away:
            self.refusals += 1
            raise LookupError("no token")
        return "ann", "secret"

    async def get_credentials_async(self) -> tuple[str, str]:
        return self.get_credentials()


async def test_credentials_that_cannot_be_had_for_a_while_are_an_outage() -> None:
    with Server(aof=False) as server:
        server.user("ann", "~*", "&*", "+@all")
        tokens = Tokens()
        client = Redis(port=server.port, credential_provider=tokens)
        queue, blocking = Queue(connection=client), SyncQueue(connection=client)
        async with queue, working(queue, lease=1):
            await (await asyncio.to_thread(blocking.enqueue, tasks.add, 1, 2))._job.wait(10)
            tokens.is_away = True
            db: Any = server.client()
            for kind in ("normal", "pubsub"):
                db.client_kill_filter(_type=kind, skipme=True)
            one = asyncio.ensure_future(queue.enqueue(tasks.add, 3, 4))
            two = asyncio.ensure_future(asyncio.to_thread(blocking.enqueue, tasks.add, 5, 6))
            await wait_until(lambda: tokens.refusals > 9)
            tokens.is_away = False

            assert await (await one).wait(10) == 7
            assert await (await two)._job.wait(10) == 11
        blocking.close()


async def test_jobs_that_run_through_a_restart_are_recorded_and_not_run_again(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(own_queue, lease=1):
        early = await own_queue.enqueue(jobs.hold, probe_name, "ends while Redis is away")
        late = await own_queue.enqueue(tasks.nap, 1.5)
        await wait_until(lambda: probe.running)
        own_server.kill()
        probe.open()
        await wait_until(lambda: probe.running == 0)
        own_server.start()

        assert await early.wait(10) == "ends while Redis is away"
        assert await late.wait(10) == 1.5
    assert [(await record(job, own_queue.space)).lost for job in (early, late)] == [0, 0]
    assert probe.starts == 1


async def test_an_outage_of_several_leases_starts_no_job_twice(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(own_queue, lease=1), working(own_queue, lease=1):
        held = [await own_queue.enqueue(jobs.hold, probe_name, number) for number in range(5)]
        await wait_until(lambda: probe.running == 5)
        own_server.freeze()
        await asyncio.sleep(2.5)
        own_server.thaw()
        probe.open()

        assert [await job.wait(10) for job in held] == list(range(5))
    assert probe.starts == 5


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_an_outage_longer_than_the_lease_ends_jobs_if_the_worker_is_to_cancel_them(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str, how: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async with working(own_queue, lease=2, on_unsure="cancel"):
        job = await own_queue.enqueue(jobs.hold, probe_name, "second")
        await wait_until(lambda: probe.running)
        began = time.monotonic()
        getattr(own_server, how)()
        await wait_until(lambda: not probe.running)
        took = time.monotonic() - began
        own_server.start() if how == "kill" else own_server.thaw()
        probe.open()

        assert await job.wait(15) == "second"
    assert took > 2 - 0.5 - 0.2  # the beat before, and the claim
    assert f"job {job.id}: Redis has confirmed nothing" in caplog.text
    stored = await record(job, own_queue.space)
    assert (probe.starts, stored.lost, stored.fence) == (2, 1, 2)


async def test_jobs_that_were_claimed_after_an_outage_run_on_in_a_worker_that_would_cancel_them(
    own_server: Server, own_queue: Queue
) -> None:
    async with working(own_queue, lease=1, on_unsure="cancel"):
        own_server.freeze()
        await asyncio.sleep(2.5)
        own_server.thaw()
        job = await own_queue.enqueue(tasks.nap, 1.5)
        assert await job.wait(10) == 1.5

    assert (await record(job, own_queue.space)).fence == 1


async def test_jobs_whose_leases_are_confirmed_run_on_in_a_worker_that_would_cancel_them(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=2, on_unsure="cancel"):
        jobs_ = [await queue.enqueue(func, probe_name, 1) for func in (jobs.hold, jobs.hold_thread)]
        nap = await queue.enqueue(tasks.nap, 2.5)
        assert await nap.wait(15) == 2.5
        probe.open()
        assert [await job.wait(5) for job in jobs_] == [1, 1]

    assert probe.starts == 2


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_worker_ends_though_redis_is_away(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str, how: str
) -> None:
    """After the grace and the farewell, and the end of a beat and of a call that are under way."""
    worker = make_worker(own_queue, lease=1, grace=0.3, cleanup=0.3, farewell=0.3)
    task = asyncio.create_task(worker.work())
    job = await own_queue.enqueue(jobs.hold, probe_name)
    await wait_until(lambda: probe.running)
    getattr(own_server, how)()
    began = time.monotonic()
    await worker.stop()
    assert await task

    assert time.monotonic() - began < 0.3 + 0.3 + 0.3 + 2.5 + SLOW
    if how == "freeze":
        own_server.thaw()
        async with working(own_queue, lease=1):
            probe.open()
            await job.wait(10)


async def test_outcomes_that_cannot_be_recorded_hold_up_the_end_for_the_farewell_alone(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    """Nothing is left that could clean up."""
    worker = make_worker(own_queue, lease=1, grace=0.3, cleanup=10, farewell=0.3)
    task = asyncio.create_task(worker.work())
    await own_queue.enqueue(jobs.hold, probe_name)
    await wait_until(lambda: probe.running)
    own_server.kill()
    probe.open()
    began = time.monotonic()
    await worker.stop()
    await task

    assert time.monotonic() - began < 0.3 + 0.3 + 4.5 + SLOW


async def test_an_idle_worker_ends_at_once_though_redis_is_away(own_server: Server, own_queue: Queue) -> None:
    worker = make_worker(own_queue, lease=1)
    task = asyncio.create_task(worker.work())
    assert await (await own_queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
    own_server.kill()
    began = time.monotonic()
    await worker.stop()
    await task

    assert time.monotonic() - began < 4.5 + SLOW  # the last claim, a beat, the last call


# -- what Redis refuses


async def test_outcomes_that_redis_refuses_do_not_hold_up_others_and_are_recorded_later(
    queue: Queue, space: Namespace, url: str, db: Any, probe: Probe, probe_name: str
) -> None:
    """They travel in one call, which is refused as a whole."""
    other = Queue("other", connection=url)
    async with working([queue, other]):
        refused = [await other.enqueue(jobs.hold, probe_name, number) for number in range(2)]
        await wait_until(lambda: probe.running == 2)
        neighbours = [await queue.enqueue(jobs.hold, probe_name, number) for number in range(2)]
        await wait_until(lambda: probe.running == 4)
        foreign = space.keys.registry("finished", "other")
        db.set(foreign, "a foreign value")
        probe.open()

        assert [await job.wait(4) for job in neighbours] == [0, 1]
        assert [await status(job) for job in refused] == ["started", "started"]
        db.delete(foreign)
        assert [await job.wait(4) for job in refused] == [0, 1]
    assert probe.starts == 4


async def test_a_damaged_record_does_not_cost_the_others_their_leases(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1):
        together = [await queue.enqueue(jobs.hold, probe_name, number) for number in range(3)]
        await wait_until(lambda: probe.running == 3)
        damaged = space.keys.job(together[0].id)
        db.set(damaged, "a foreign value")
        key = space.keys.registry("started", "default")
        before = db.zscore(key, together[1].id)
        await wait_until(lambda: db.zscore(key, together[1].id) > before + 500, timeout=3)
        db.delete(damaged)
        probe.open()


async def test_a_worker_waits_until_a_foreign_key_in_its_way_is_gone(
    queue: Queue, space: Namespace, db: Any, probe: Probe, probe_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(queue):
        held = await queue.enqueue(jobs.hold, probe_name, "ran on")
        await wait_until(lambda: probe.running)
        foreign = space.keys.registry("queue", "default")
        db.set(foreign, "a foreign value")
        db.rpush(space.keys.wake("default"), "1")
        await wait_until(lambda: "Redis refuses to hand out jobs" in caplog.text)
        db.delete(foreign)
        job = await queue.enqueue(tasks.add, 1, 2)
        assert await job.wait(8) == 3
        probe.open()
        assert await held.wait(5) == "ran on"


async def test_the_worker_of_a_redis_that_is_full_goes_on(
    own_server: Server, own_queue: Queue, probe: Probe, probe_name: str
) -> None:
    client: Any = own_server.client()
    async with working(own_queue, lease=1):
        job = await own_queue.enqueue(jobs.hold, probe_name, "recorded")
        await wait_until(lambda: probe.running)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        probe.open()

        assert await job.wait(5) == "recorded"
        client.config_set("maxmemory", "0")
    client.close()


async def test_burst_waits_for_a_redis_that_is_away(own_server: Server, own_queue: Queue) -> None:
    job = await own_queue.enqueue(tasks.nap, 0.5)
    task = asyncio.create_task(Worker(own_queue).work(burst=True))
    await wait_until(lambda: _is_started(job))
    own_server.kill()
    await asyncio.sleep(1)
    assert not task.done()
    own_server.start()

    assert await task
    assert await job.wait(5) == 0.5


async def _is_started(job: Any) -> bool:
    return bool(await job.get_status() == "started")
