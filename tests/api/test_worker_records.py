"""`Worker.all` and `Worker.count`: what can be learned of workers from anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import Queue, QueueUnavailable, Worker, WorkerInfo
from aqueue._redis import operations
from aqueue.connection import Namespace
from aqueue.worker import heartbeat
from tests import tasks
from tests.servers import Server, free_port
from tests.support import beat, wait_until
from tests.worker import jobs
from tests.worker.conftest import probe as probe
from tests.worker.conftest import probe_name as probe_name
from tests.worker.hands import burst, make_worker, working
from tests.worker.jobs import Probe


async def the_one() -> WorkerInfo:
    [found] = await Worker.all()
    return found


async def until(**facts: Any) -> WorkerInfo:
    """Wait until there is one worker of which this is so."""

    async def holds() -> WorkerInfo | None:
        found = await Worker.all()
        return (
            found[0]
            if found and all(getattr(found[0], name) == fact for name, fact in facts.items())
            else None
        )

    found = await wait_until(holds, description=str(facts))
    assert isinstance(found, WorkerInfo)
    return found


async def test_there_are_none_in_an_empty_namespace(url: str) -> None:
    assert (await Worker.all(), await Worker.count()) == ([], 0)


async def test_a_worker_says_who_it_is(queue: Queue) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    worker = make_worker([queue, "low"], name="anna", concurrency=7, lease=3)
    async with worker.running():
        found = await until(name="anna")

    assert (found.id, found.hostname != "", found.pid > 0) == (worker.id, True, True)
    assert (found.queues, found.concurrency, found.lease) == (["default", "low"], 7, 3)
    assert (found.state, found.running, found.current_job_ids) == ("idle", 0, [])
    assert (found.successful_job_count, found.failed_job_count, found.total_working_time) == (0, 0, 0)
    assert found.birth_date is not None
    assert found.last_heartbeat is not None
    assert before <= found.birth_date
    assert abs(datetime.now(UTC) - found.last_heartbeat) < timedelta(seconds=10)
    assert not found.is_silent
    assert await Worker.all() == []


async def test_a_change_of_the_state_is_told_soon_although_beats_are_rare(
    queue: Queue, probe: Probe, probe_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LOOK", 0.05)
    async with working(queue, lease=600, grace=20) as worker:
        await until(state="idle")
        job = await queue.enqueue(jobs.hold, probe_name)
        found = await until(state="busy")
        assert (found.running, found.current_job_ids) == (1, [job.id])
        probe.open()
        found = await until(state="idle")
        assert (found.running, found.current_job_ids, found.successful_job_count) == (0, [], 1)

        probe.door.clear()
        await queue.enqueue(jobs.hold, probe_name)
        await until(state="busy")
        await worker.stop()
        await until(state="stopping")
        probe.open()


async def test_outcomes_and_working_time_are_counted(queue: Queue, probe: Probe, probe_name: str) -> None:
    for seconds in (0.2, 0.2):
        await queue.enqueue(tasks.nap, seconds)
    await queue.enqueue(tasks.div_by_zero, 1)
    worker = make_worker(queue)
    await worker.work(burst=True)
    assert (worker.successful_job_count, worker.failed_job_count) == (2, 1)

    async with worker.running():
        found = await until(successful_job_count=2, failed_job_count=1)
    assert 0.4 <= found.total_working_time < 10


async def test_only_the_hundred_oldest_jobs_are_named(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, concurrency=150, lease=1):
        first = await queue.enqueue_many([Queue.prepare_data(jobs.hold, (probe_name,))] * 100)
        await wait_until(lambda: probe.running == 100)
        await queue.enqueue_many([Queue.prepare_data(jobs.hold, (probe_name,))] * 20)
        found = await until(running=120)
        probe.open()

    assert found.current_job_ids == [job.id for job in first]


async def test_a_job_that_is_over_is_not_named_though_its_thread_runs_on(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    async with working(queue, lease=1, cleanup=0.05):
        await queue.enqueue(jobs.hold_thread, probe_name, job_timeout="50ms")
        found = await until(zombies=1, current_job_ids=[])
        probe.open()

    assert (found.state, found.running, found.failed_job_count) == ("busy", 1, 1)


async def test_a_silent_worker_is_listed_but_not_counted(queue: Queue, space: Namespace) -> None:
    await beat(space, "dead", lease_ms=30_000)
    await beat(space, "alive", lease_ms=30_000)
    stale = ("HINCRBY", space.keys.worker("dead"), "heartbeat", -31_000)
    await space.client.read(operations.Lookup([stale], lambda replies: None))

    found = {worker.id: worker for worker in await Worker.all()}

    assert {id: worker.is_silent for id, worker in found.items()} == {"dead": True, "alive": False}
    assert found["dead"].heartbeat_age >= 31
    assert await Worker.count() == 1


async def test_a_worker_that_is_forgotten_is_not_listed_though_nobody_prunes(space: Namespace) -> None:
    """Its record is kept for longer: it may come back and repeat its last claim."""
    await beat(space, "dead")
    await beat(space, "alive")
    past = ("ZADD", space.keys.workers, 1, "dead")
    await space.client.read(operations.Lookup([past], lambda replies: None))

    assert [worker.id for worker in await Worker.all()] == ["alive"]


async def test_only_the_workers_of_a_queue(queue: Queue, url: str, space: Namespace) -> None:
    low = Queue("low", connection=url)
    async with working([queue, low], name="both"), working(low, name="one"):

        async def are_two() -> bool:
            return await Worker.count() == 2

        await wait_until(are_two)
        names = {
            name: [worker.name for worker in await Worker.all(queue=given)]
            for name, given in {"all": None, "default": queue, "low": low, "text": "low", "no": "no"}.items()
        }
        assert names == {
            "all": ["both", "one"], "default": ["both"], "low": ["both", "one"], "text": ["both", "one"],
            "no": [],
        }  # fmt: skip
        assert await Worker.count(queue=queue) == 1
        assert await Worker.count(url, low) == 2


async def test_a_queue_says_where_to_look(server: Server, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Queue("default", server.url, namespace="elsewhere")
    monkeypatch.setenv("AQUEUE_URL", f"redis://127.0.0.1:{free_port()}")
    async with working(elsewhere):

        async def is_one() -> bool:
            return await Worker.count(queue=elsewhere) == 1

        await wait_until(is_one)
        assert await Worker.count(server.url, namespace="elsewhere") == 1
        assert await Worker.count(server.url, queue=elsewhere, namespace="empty") == 0


async def test_records_that_others_damaged_are_read_as_far_as_they_go(space: Namespace) -> None:
    await beat(space, "odd")
    damage = ("HSET", space.keys.worker("odd"), "heartbeat", "soon", "started_at", "9" * 15, "running", "-1",
              "worked", b"\xff", "jobs", b"a \xff\n", "pid", "", "queues", "q")  # fmt: skip
    await space.client.read(operations.Lookup([damage], lambda replies: None))

    found = await the_one()

    assert (found.name, found.pid, found.running, found.total_working_time) == ("odd", 0, 0, 0)
    assert (found.last_heartbeat, found.current_job_ids) == (None, ["a", "�"])
    assert found.birth_date is not None
    assert found.is_silent


async def test_an_unreachable_redis_is_said(hurry: None) -> None:
    with pytest.raises(QueueUnavailable):
        await Worker.count(f"redis://127.0.0.1:{free_port()}")


async def test_a_burst_leaves_no_record(queue: Queue) -> None:
    await queue.enqueue(tasks.add, 1, 2)
    await burst(queue)

    assert await Worker.all() == []
