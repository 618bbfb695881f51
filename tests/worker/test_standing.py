"""A claim stands at Redis behind the wait for a token: an idle worker is brought its next job unasked."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from aqueue import Queue
from aqueue._redis.client import AsyncClient
from aqueue._redis.doorbell import Doorbell
from aqueue._redis.operations import Operation
from aqueue.connection import Namespace
from tests import tasks
from tests.api.proxy import Proxy
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import is_serving, make_worker, record, working
from tests.worker.jobs import Probe


class Standing:
    """What was sent to follow the wait for a token."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[list[Any]]] = []

    def now(self) -> bool:
        """Whether a claim is unanswered."""
        return any(not answer.done() for answer in self.answers)


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    found = Standing()
    original = Doorbell.follow

    def follow(bell: Doorbell, operation: Operation[Any]) -> asyncio.Future[list[Any]] | None:
        answer = original(bell, operation)
        if answer is not None:
            found.answers.append(answer)
        return answer

    monkeypatch.setattr(Doorbell, "follow", follow)
    return found


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that are called as usual."""
    names: list[str] = []
    original = AsyncClient.run

    async def run(client: AsyncClient, operation: Any, **options: Any) -> Any:
        names.append(operation.script.name)
        return await original(client, operation, **options)

    monkeypatch.setattr(AsyncClient, "run", run)
    return names


async def rings(db: Any) -> bool:
    """Whether a worker waits for a token."""
    return any(client["cmd"] == "blpop" for client in db.client_list())


async def test_an_idle_workers_job_comes_without_a_further_question(
    queue: Queue, standing: Standing, called: list[str]
) -> None:
    async with working(queue):
        for _ in range(3):
            await wait_until(standing.now)
            called.clear()
            assert await (await queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
            assert "claim" not in called


async def test_no_claim_stands_while_code_runs(
    queue: Queue, standing: Standing, db: Any, probe: Probe, probe_name: str
) -> None:
    """It might block the loop, and with it the jobs that such a claim brings."""
    async with working(queue):
        held = await queue.enqueue(jobs.hold, probe_name, "held")
        await wait_until(lambda: probe.running)
        await wait_until(lambda: rings(db))
        assert not standing.now()
        assert await (await queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
        assert not standing.now()

        probe.open()
        assert await held.wait(5) == "held"
        await wait_until(standing.now)


async def test_jobs_that_come_together_are_all_run_soon(queue: Queue, standing: Standing) -> None:
    async with working(queue, concurrency=10):
        await wait_until(standing.now)
        many = await queue.enqueue_many([Queue.prepare_data(tasks.add, (1, n)) for n in range(30)])

        assert [await job.wait(5) for job in many] == [n + 1 for n in range(30)]


async def test_a_scheduled_job_is_run_once_although_a_claim_stands(
    queue: Queue, standing: Standing, probe: Probe, probe_name: str
) -> None:
    """Its claim bears the standing one's number: Redis answers both alike."""
    async with working(queue):
        await wait_until(standing.now)
        timed = [await queue.enqueue_in(0.1 + n / 20, jobs.note, probe_name, str(n)) for n in range(5)]
        at_once = [await queue.enqueue(jobs.note, probe_name, f"now {n}") for n in range(5)]
        for job in [*timed, *at_once]:
            await job.wait(5)

    assert sorted(probe.notes) == sorted([*map(str, range(5)), *(f"now {n}" for n in range(5))])


@pytest.mark.parametrize("loses", ["token", "jobs"])
async def test_a_job_whose_standing_claim_is_answered_in_vain_is_run_soon(
    loses: str, queue: Queue, space: Namespace, url: str, standing: Standing
) -> None:
    """The worker asks again under the same number, and no lease is lost."""
    lost: list[bytes] = []

    def is_lost(chunk: bytes) -> bool:
        hit = not lost and (b"tests.tasks.add" in chunk or (loses == "token" and b":wake:" in chunk))
        if hit:
            lost.append(chunk)
        return hit

    async with Proxy(url) as proxy, working(Queue(connection=proxy.url)):
        await wait_until(standing.now)
        proxy.loses = is_lost
        job = await queue.enqueue(tasks.add, 1, 2)

        assert await job.wait(5) == 3
        assert lost
        assert (await record(job, space)).lost == 0


async def test_a_worker_that_stops_leaves_no_claim_and_no_job_behind(
    queue: Queue, space: Namespace, standing: Standing
) -> None:
    for ticks in range(0, 24, 2):
        worker = make_worker(queue)
        running = asyncio.create_task(worker.work())
        await wait_until(functools.partial(is_serving, worker))
        await wait_until(standing.now)
        enqueuing = asyncio.create_task(queue.enqueue(tasks.add, 1, ticks))
        for _ in range(ticks):
            await asyncio.sleep(0)
        await worker.stop()
        await running
        job = await enqueuing
        found = await record(job, space)

        assert (found.status, found.lost) in {("finished", 0), ("queued", 0)}
        await queue.empty()
        assert not standing.now()


async def test_a_connection_that_ends_costs_no_standing_worker_a_job(
    queue: Queue, space: Namespace, url: str, standing: Standing
) -> None:
    async with Proxy(url) as proxy, working(Queue(connection=proxy.url)):
        for _ in range(5):
            await wait_until(standing.now)
            proxy.cut_all()
            job = await queue.enqueue(tasks.add, 1, 2)

            assert await job.wait(5) == 3
            assert (await record(job, space)).lost == 0


async def test_a_server_that_forgot_its_scripts_is_told_them_again(
    queue: Queue, standing: Standing, db: Any
) -> None:
    async with working(queue):
        await wait_until(standing.now)
        db.script_flush()

        assert await (await queue.enqueue(tasks.add, 1, 2)).wait(5) == 3
