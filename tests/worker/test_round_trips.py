"""How often a program and a worker talk to Redis: counted, not timed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from aqueue import Job, Queue
from aqueue._redis.line import Line
from aqueue._redis.scripts import load
from tests import tasks
from tests.servers import Server
from tests.support import wait_until
from tests.worker.hands import make_worker, working

Trips = Counter[str]

_NAMES = {load(name).sha.encode(): name for name in ("enqueue", "claim", "settle")}


@pytest.fixture
async def trips(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Trips:
    """Writes that waited for an answer, by the script or the command that they began with."""
    await queue.enqueue(tasks.add, 1, 2)
    await make_worker(queue).work(burst=True)  # all scripts are loaded
    counted: Trips = Counter()
    send = Line.send

    def counting_send(self: Line, packed: bytes, count: int) -> Any:
        _, _, command, _, first, *_ = [*packed.split(b"\r\n", 5), b"", b""]
        counted[_NAMES.get(first, "other") if command == b"EVALSHA" else command.decode()] += 1
        return send(self, packed, count)

    monkeypatch.setattr(Line, "send", counting_send)
    return counted


async def test_an_enqueue_is_one_round_trip(queue: Queue, trips: Trips) -> None:
    for _ in range(10):
        await queue.enqueue(tasks.add, 1, 2, meta={"a": 1}, ttl=60)

    assert trips == {"enqueue": 10}


async def test_a_hundred_enqueues_at_once_are_two_round_trips(queue: Queue, trips: Trips) -> None:
    await asyncio.gather(*(queue.enqueue(tasks.add, number, 1) for number in range(100)))

    assert trips["enqueue"] <= 2


async def test_who_enqueues_alone_does_not_wait_for_others(queue: Queue, trips: Trips) -> None:
    """After a call with one job, the next job leaves in the very turn of the loop in which it comes."""
    await queue.enqueue(tasks.add, 1, 2)
    trips.clear()

    enqueuing = asyncio.create_task(queue.enqueue(tasks.add, 1, 2))
    await asyncio.sleep(0)  # its first step, and none of what that has called soon

    assert trips["enqueue"] == 1
    await enqueuing


async def test_a_thousand_jobs_are_enqueued_in_ten_and_fetched_in_one(
    queue: Queue, url: str, trips: Trips
) -> None:
    jobs = await queue.enqueue_many(Queue.prepare_data(tasks.add, (1, 2)) for _ in range(1_000))
    assert trips["enqueue"] == 10
    trips.clear()

    assert all(await Job.fetch_many([job.id for job in jobs], url))
    assert sum(trips.values()) == 1


async def test_a_worker_of_one_job_at_a_time_needs_a_claim_and_a_settlement_for_each(
    queue: Queue, trips: Trips
) -> None:
    await queue.enqueue_many(Queue.prepare_data(tasks.add, (1, 2)) for _ in range(50))

    await make_worker(queue, concurrency=1).work(burst=True)

    assert trips["settle"] == 50
    assert trips["claim"] <= 51


async def test_a_worker_tells_a_new_server_all_scripts_before_its_first_claim(
    queue: Queue, trips: Trips, server: Server
) -> None:
    await queue.enqueue_many(Queue.prepare_data(tasks.add, (1, 2)) for _ in range(3))
    with server.client() as client:
        client.script_flush()  # pyright: ignore[reportUnknownMemberType]
    trips.clear()

    await make_worker(queue, concurrency=1).work(burst=True)

    assert (trips["claim"], trips["settle"]) == (4, 3)


async def test_an_idle_worker_needs_the_wake_a_claim_and_a_settlement(queue: Queue, trips: Trips) -> None:
    """The claim follows the wake, so that nobody waits for it."""
    async with working(queue, concurrency=1):
        await wait_until(lambda: trips["BLPOP"])
        before = trips.copy()
        for _ in range(20):
            await (await queue.enqueue(tasks.add, 1, 2)).wait(5)
            waits = trips["BLPOP"]
            await wait_until(lambda waits=waits: trips["BLPOP"] >= waits)  # type: ignore[misc]

    used = trips - before
    assert used["settle"] == 20
    assert used["claim"] in (20, 21)  # the next one may stand already
    assert used["BLPOP"] == 20


async def test_a_worker_of_a_hundred_needs_less_than_a_fifth_of_a_round_trip(
    queue: Queue, trips: Trips
) -> None:
    await queue.enqueue_many(Queue.prepare_data(tasks.add, (1, 2)) for _ in range(1_000))
    before = trips.copy()

    await make_worker(queue, concurrency=100).work(burst=True)

    used = trips - before
    assert await queue.finished_job_registry.count() == 1_001
    assert used["claim"] + used["settle"] < 0.2 * 1_000
