"""promote: scheduled -> queued when due."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Released, Retried
from tests.transitions.stage import BOOM, HOUR, Stage, new_job


async def test_a_due_job_is_queued_and_wakes_a_worker(stage: Stage) -> None:
    await stage.add("a", delay=1000)
    stage.drain()
    await stage.age(5)
    await stage.promote()

    assert (stage.status("a"), stage.where("a"), stage.tokens()) == ("queued", ["queue"], 1)
    assert stage.job("a").enqueued_at is not None
    assert stage.ttl(stage.keys.job("a")) == -1


async def test_a_job_that_is_not_due_stays_and_wakes_nobody(stage: Stage) -> None:
    await stage.add("a", delay=HOUR)
    stage.drain()
    before = stage.digest()
    await stage.promote()

    assert stage.digest() == before


async def test_its_ttl_runs_from_the_due_time(stage: Stage) -> None:
    await stage.add("a", delay=1000, ttl=60_000)
    due = stage.score("scheduled", "a")
    assert due is not None
    await stage.age(11)
    await stage.promote()

    assert stage.score("expiring", "a") == due - 11_000 + 60_000


async def test_its_ttl_may_have_passed_by_then(stage: Stage) -> None:
    await stage.add("a", delay=1000, ttl=2000)
    await stage.age(60)

    assert await stage.claim() == []
    assert stage.status("a") == "expired"


async def test_a_delayed_retry_no_longer_expires(stage: Stage) -> None:
    lease = await stage.start("a", ttl=1000)
    await stage.settle(lease, Retried(BOOM, 5000))
    await stage.age(HOUR)
    await stage.promote()

    assert (stage.where("a"), stage.score("expiring", "a")) == (["queue"], None)


@pytest.mark.parametrize("unknown", [True, False])
async def test_neither_does_a_job_that_was_given_back(stage: Stage, unknown: bool) -> None:
    lease = await stage.start("a", ttl=1000)
    await stage.settle(lease, Released(5000, unknown=unknown))
    await stage.age(HOUR)
    await stage.promote()

    assert (stage.where("a"), stage.score("expiring", "a")) == (["queue"], None)


async def test_neither_does_a_job_that_lost_its_worker_twice(stage: Stage) -> None:
    await stage.start("a", ttl=1000)
    await stage.lose()
    await stage.claim()
    await stage.lose()
    assert stage.status("a") == "scheduled"
    await stage.age(HOUR)
    await stage.promote()

    assert (stage.where("a"), stage.score("expiring", "a")) == (["queue"], None)


async def test_priority_counts_when_a_job_is_promoted(stage: Stage) -> None:
    await stage.add("waiting")
    await stage.add("a", delay=1000, priority=1)
    await stage.age(5)
    await stage.promote()

    assert stage.ids("queue") == ["a", "waiting"]


async def test_one_call_promotes_a_hundred_per_queue_and_says_that_there_may_be_more(stage: Stage) -> None:
    for start in (0, 100):
        await stage.enqueue(*(new_job(f"j{start + n}", delay=1000) for n in range(100)))
    await stage.add("j200", delay=1000)
    await stage.age(5)

    assert [await stage.promote(), len(stage.ids("queue"))] == [True, 100]
    assert [await stage.promote(), len(stage.ids("queue"))] == [True, 200]
    assert [await stage.promote(), len(stage.ids("queue"))] == [False, 201]


async def test_a_paused_queue_is_promoted_but_wakes_nobody(stage: Stage) -> None:
    await stage.add("a", delay=1000)
    await stage.pause()
    await stage.age(5)
    await stage.promote()

    assert (stage.where("a"), stage.tokens()) == (["queue"], 0)


async def test_an_id_whose_record_is_gone_or_foreign_leaves_the_registry(stage: Stage) -> None:
    await stage.add("gone", "foreign", "a", delay=1000)
    stage.db.delete(stage.keys.job("gone"))
    stage.db.set(stage.keys.job("foreign"), "x")
    await stage.age(5)
    await stage.promote()

    assert (stage.ids("scheduled"), stage.ids("queue")) == ([], ["a"])
    assert stage.db.exists(stage.keys.job("gone")) == 0


async def test_a_job_canceled_after_its_due_time_is_not_promoted(stage: Stage) -> None:
    await stage.add("a", delay=1000)
    stage.db.hset(stage.keys.job("a"), "status", "canceled")
    await stage.age(5)
    await stage.promote()

    assert (stage.status("a"), stage.ids("queue")) == ("canceled", [])
