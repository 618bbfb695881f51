"""A server that is out of memory takes no new jobs, and running ones go on to free some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.outcome import Finished, Outcome, Released, Retried
from aqueue._redis import operations
from aqueue.errors import QueueFull
from tests.servers import Server, smallest
from tests.transitions.stage import BOOM, Stage, new_job


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    binary = os.environ.get("AQUEUE_TEST_SERVER")
    with Server("--maxmemory-policy", "noeviction", aof=False, binary=binary) as running:
        yield running


@pytest.fixture
def full(small_server: Server, namespace: str) -> Iterator[Stage]:
    """A server with memory left; `fill` takes it away."""
    url = small_server.user(namespace, *smallest(namespace))
    stage = Stage(Queue("default", connection=url, namespace=namespace).space, small_server)
    yield stage
    stage.db.config_set("maxmemory", 0)
    stage.db.close()


def fill(stage: Stage) -> None:
    stage.db.config_set("maxmemory", 1)


@pytest.mark.parametrize("known", [True, False], ids=["known script", "first call"])
async def test_an_enqueue_is_refused_and_leaves_nothing(full: Stage, known: bool) -> None:
    if known:
        await full.add("before")
    else:
        full.db.script_flush()
    before = full.digest()
    fill(full)

    with pytest.raises(QueueFull, match="out of memory"):
        await full.enqueue(new_job("a", ttl=1000), new_job("b", delay=1000), new_job("c", mode="save"))
    assert full.digest() == before


@pytest.mark.parametrize("options", [{}, {"mode": "front"}, {"mode": "save"}, {"delay": 1000}], ids=str)
async def test_the_id_of_an_ended_job_keeps_its_record(full: Stage, options: dict[str, Any]) -> None:
    await full.failed("a")
    before = full.digest()
    fill(full)

    with pytest.raises(QueueFull):
        await full.add("a", **options)
    assert full.digest() == before


async def test_a_repeated_enqueue_is_still_answered(full: Stage) -> None:
    job = new_job("a")
    await full.enqueue(job)
    fill(full)

    assert await full.enqueue(job) == ["queued"]
    assert await full.enqueue(new_job("a")) == ["duplicate queued"]


async def test_jobs_are_claimed_and_their_leases_kept(full: Stage) -> None:
    await full.add("a")
    await full.add("due", delay=1)
    await full.age(5)
    fill(full)
    leases = await full.claim()

    assert [lease.job_id for lease in leases] == ["a", "due"]
    assert (await full.extend(*leases)).lost == []


@pytest.mark.parametrize("outcome", [Finished(b"r" * 10_000), BOOM, Retried(BOOM, 0), Released()])
async def test_outcomes_are_recorded(full: Stage, outcome: Outcome) -> None:
    lease = await full.start("a")
    fill(full)

    assert await full.settle(lease, outcome) == "ok"
    assert full.ids("started") == []


async def test_lost_jobs_are_recovered_and_old_ones_pruned(full: Stage) -> None:
    await full.failed("old")
    await full.start("a")
    await full.age(10**9)
    fill(full)

    assert (await full.recover()).jobs == {"a": "queued"}
    await full.prune()
    assert full.ids("failed") == []


async def test_jobs_can_be_canceled_requeued_and_deleted(full: Stage) -> None:
    await full.add("a")
    fill(full)

    assert await full.cancel("a") == "canceled"
    assert await full.requeue("a") == ["ok"]
    assert await full.delete("a") == ["ok"]


async def test_queues_can_be_paused_resumed_and_dropped(full: Stage) -> None:
    fill(full)
    await full.pause()
    await full.pause(paused=False)

    assert await full.run(operations.drop(full.keys, "default"))
