"""Cancelling any call at any moment: nothing leaks, and no later call gets a reply that is not its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from aqueue import AqueueError, Job, Queue, Worker, cancel_job, get_failed_queue, requeue_job
from tests.api import jobs
from tests.api.admin import admin, clients_of
from tests.servers import Server
from tests.support import wait_until

Call = Callable[[], Awaitable[Any]]


@pytest.fixture
async def queue(own_server: Server) -> AsyncIterator[Queue]:
    async with Queue(connection=own_server.url) as opened:
        await opened.enqueue(jobs.nothing, job_id="steady", meta={"steady": True})
        yield opened


async def cut(call: Call, ticks: int) -> None:
    """Cancel the call after so many turns of the loop; it may have ended by then, well or not."""

    async def run() -> None:
        await call()

    task = asyncio.create_task(run())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, AqueueError):
        pass


def calls(queue: Queue, url: str) -> dict[str, Call]:
    """Every public coroutine, on jobs that are there."""
    low = Queue("low", connection=url)
    registry, failed = low.failed_job_registry, get_failed_queue(url)
    job = Job.create(jobs.nothing, id="other", connection=url, origin="low")

    async def fresh() -> Job[Any]:
        return await low.enqueue(jobs.nothing)

    async def canceled() -> Job[Any]:
        made = await fresh()
        await made.cancel()
        return made

    return {
        "enqueue": fresh,
        "enqueue_in": lambda: low.enqueue_in(60, jobs.nothing),
        "enqueue_many": lambda: low.enqueue_many([Queue.prepare_data(jobs.nothing)] * 150),
        "enqueue_job": lambda: low.enqueue_job(Job.create(jobs.nothing)),
        "save": job.save,
        "many at once": lambda: asyncio.gather(*(low.count() for _ in range(30))),
        "count": low.count,
        "get_job_ids": low.get_job_ids,
        "get_jobs": low.get_jobs,
        "fetch": lambda: Job.fetch("steady", connection=url),
        "fetch_many": lambda: Job.fetch_many(["steady", "nobody"] * 50, connection=url),
        "exists": lambda: Job.exists("steady", connection=url),
        "wait": job.wait,
        "wait a moment": lambda: job.wait(0.001),
        "latest_result": lambda: job.latest_result(1),
        "results": job.results,
        "save_meta": job.save_meta,
        "position": lambda: queue.get_job_position("steady"),
        "cancel": lambda: cancel_job("other", url),
        "canceled": canceled,
        "requeue": lambda: requeue_job("other", url),
        "delete": job.delete,
        "registry": lambda: registry.requeue_all(),
        "contains": lambda: registry.contains("other"),
        "quarantine": lambda: failed.quarantine("other", "x"),
        "failed": failed.get_jobs,
        "pause": low.pause,
        "is_paused": low.is_paused,
        "all": lambda: Queue.all(connection=url),
        "empty": low.empty,
        "queue delete": low.delete,
    }


async def is_steady(queue: Queue, url: str) -> bool:
    """Replies that belong to these calls, several at a time."""
    count, job, ids, exists, position = await asyncio.gather(
        queue.count(),
        queue.fetch_job("steady"),
        queue.get_job_ids(),
        Job.exists("nobody", url),
        queue.get_job_position("steady"),
    )
    assert job is not None
    return (count, job.meta, ids, exists, position) == (1, {"steady": True}, ["steady"], False, 0)


async def test_a_call_that_is_cancelled_at_any_moment_leaves_the_next_one_its_own_reply(
    queue: Queue, own_server: Server
) -> None:
    for call in calls(queue, own_server.url).values():
        for ticks in range(0, 41, 2):
            await cut(call, ticks)
        assert await is_steady(queue, own_server.url), call

    await wait_until(lambda: len(clients_of(own_server)) <= 3)


async def test_a_call_that_is_cancelled_while_it_connects_leaves_no_connection(
    queue: Queue, own_server: Server
) -> None:
    for name, call in calls(queue, own_server.url).items():
        if name in ("enqueue", "fetch", "wait", "many at once", "registry"):
            for ticks in range(41):
                await queue.aclose()
                await cut(call, ticks)
            assert await is_steady(queue, own_server.url), name
    await queue.aclose()

    await wait_until(lambda: clients_of(own_server) == [], description="all connections closed")


async def test_a_storm_of_cancelled_calls_leaves_no_reply_behind(queue: Queue, own_server: Server) -> None:
    every = list(calls(queue, own_server.url).values())
    for turn in range(12):
        await asyncio.gather(*(cut(call, (turn * 7 + at * 3) % 41) for at, call in enumerate(every)))
        assert await is_steady(queue, own_server.url)

    await wait_until(lambda: len(clients_of(own_server)) <= 3)
    for board in (client := queue.space.connector.client())._calls, client._reads:
        assert board.line is not None
        assert not board.line._calls


async def test_closing_while_calls_are_under_way_ends_or_serves_them(
    queue: Queue, own_server: Server
) -> None:
    for ticks in range(0, 41, 4):
        counts = [asyncio.create_task(queue.count()) for _ in range(15)]
        for _ in range(ticks):
            await asyncio.sleep(0)
        await queue.aclose()
        assert await asyncio.gather(*counts) == [1] * 15

    await queue.aclose()
    await wait_until(lambda: clients_of(own_server) == [], description="all connections closed")


async def test_a_worker_that_is_cancelled_at_any_moment_leaves_no_connection(
    queue: Queue, own_server: Server
) -> None:
    for ticks in range(0, 41, 4):
        await cut(lambda: Worker([queue, "nobodys"], grace=0).work(max_idle_time=5), ticks)
    await queue.aclose()

    # What is left is the connection of the process for threads, which is kept.
    await wait_until(lambda: len(clients_of(own_server)) <= 1, description="all connections closed")


async def test_closing_ends_no_enqueue_that_somebody_waits_for(queue: Queue, own_server: Server) -> None:
    with admin(own_server) as client:
        client.client_pause(60_000, all=False)
    sent = asyncio.create_task(queue.enqueue(jobs.nothing, job_id="sent"))
    await wait_until(lambda: [each for each in clients_of(own_server) if "b" in each["flags"]])
    behind = asyncio.create_task(queue.enqueue(jobs.nothing, job_id="behind"))
    await asyncio.sleep(0)
    sent.cancel()
    await asyncio.sleep(0)

    await queue.aclose()
    with admin(own_server) as client:
        client.client_unpause()

    async with asyncio.timeout(10):
        assert (await behind).status == "queued"
    assert await queue.get_job_ids() == ["steady", "sent", "behind"]
