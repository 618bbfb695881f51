"""count, list and position tell the truth without a worker: what is past its time is left out."""

from __future__ import annotations

import itertools
import random

import pytest

from aqueue._redis import operations
from tests.transitions.stage import HOUR, Stage, new_job

ENDED = ["canceled", "expired", "failed", "finished"]


async def _count(stage: Stage, registry: str = "queue", queue: str = "default") -> int:
    (count,) = await stage.space.client.run(operations.count(stage.keys, [(registry, queue)]))
    return count


async def _list(
    stage: Stage, registry: str = "queue", offset: int = 0, limit: int = 100, newest: bool = False
) -> str:
    ids = await stage.space.client.run(
        operations.list_ids(stage.keys, registry, "default", offset=offset, limit=limit, newest=newest)
    )
    return " ".join(ids)


async def _position(stage: Stage, job_id: str) -> int | None:
    return await stage.space.client.run(operations.position(stage.keys, "default", job_id))


async def test_counts_come_in_the_order_asked_for(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.add("c", queue="other")
    pairs = [("queue", "other"), ("failed", "default"), ("queue", "default"), ("queue", "unknown")]

    assert await stage.run(operations.count(stage.keys, pairs)) == [1, 0, 2, 0]


async def test_a_waiting_job_past_its_ttl_is_neither_counted_nor_listed(stage: Stage) -> None:
    await stage.add("old1", ttl=1000)
    await stage.add("a")
    await stage.add("old2", ttl=1000)
    await stage.add("b", ttl=HOUR)
    await stage.age(60)

    assert (await _count(stage), await _list(stage)) == (2, "a b")
    assert await _list(stage, newest=True) == "b a"
    assert [await _list(stage, offset=n, limit=1) for n in range(3)] == ["a", "b", ""]
    assert stage.ids("queue") == ["old1", "a", "old2", "b"]


async def test_a_deadline_of_a_job_that_does_not_wait_counts_for_nothing(stage: Stage) -> None:
    """Damage: nothing of ours leaves one behind."""
    stage.db.zadd(stage.keys.registry("expiring", "default"), {"stray": 1})
    assert await _count(stage) == 0
    await stage.add("a")

    assert await _position(stage, "a") == 0


async def test_positions_leave_out_what_is_past_its_ttl(stage: Stage) -> None:
    await stage.add("old1", ttl=1000)
    await stage.add("a")
    await stage.add("old2", ttl=1000)
    await stage.add("b")
    await stage.age(60)

    assert [await _position(stage, job_id) for job_id in ("a", "b", "old2", "unknown")] == [0, 1, None, None]


async def test_positions_follow_the_order_of_service(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.add("high", priority=1)

    assert [await _position(stage, job_id) for job_id in ("high", "a", "b")] == [0, 1, 2]


async def test_a_running_job_has_no_position(stage: Stage) -> None:
    await stage.start("a")

    assert await _position(stage, "a") is None


@pytest.mark.parametrize("registry", ENDED)
async def test_an_ended_job_past_its_time_is_neither_counted_nor_listed(stage: Stage, registry: str) -> None:
    now = stage.now()
    removals = {"old": now - 1, "a": now + HOUR, "b": now + 2 * HOUR, "for-ever": float("inf")}
    stage.db.zadd(stage.keys.registry(registry, "default"), removals)

    assert await _count(stage, registry) == 3
    assert await _list(stage, registry) == "a b for-ever"
    assert await _list(stage, registry, newest=True) == "for-ever b a"
    assert await _list(stage, registry, offset=1, limit=1) == "b"
    assert await _list(stage, registry, offset=1, limit=1, newest=True) == "b"


@pytest.mark.parametrize("registry", ["started", "scheduled", "deferred"])
async def test_a_job_past_its_deadline_or_due_time_still_counts(stage: Stage, registry: str) -> None:
    stage.db.zadd(stage.keys.registry(registry, "default"), {"a": 1, "b": 2})

    assert (await _count(stage, registry), await _list(stage, registry)) == (2, "a b")
    assert await _list(stage, registry, newest=True) == "b a"


@pytest.mark.parametrize("expired", [False, True])
async def test_a_page_has_at_most_five_thousand_ids(stage: Stage, expired: bool) -> None:
    stage.db.zadd(stage.keys.registry("queue", "default"), {f"j{n}": n for n in range(9000)})
    if expired:
        stage.db.zadd(stage.keys.registry("expiring", "default"), {"j0": 1})

    assert len((await _list(stage, limit=10_000)).split()) == 5000
    assert await _list(stage, limit=2, offset=8990 - expired) == "j8990 j8991"


@pytest.mark.parametrize("newest", [False, True])
async def test_each_part_of_a_list_is_what_is_left_of_it(stage: Stage, newest: bool) -> None:
    queue, expiring = stage.keys.registry("queue", "default"), stage.keys.registry("expiring", "default")
    draw = random.Random(7)
    for _ in range(12):
        ids = [f"j{number}" for number in range(9)]
        stage.db.delete(queue, expiring)
        stage.db.zadd(queue, {job_id: place for place, job_id in enumerate(ids)})
        late = draw.sample(ids, draw.randint(1, 9))
        stage.db.zadd(expiring, {**dict.fromkeys(late, 1), "stray": 1})
        left = [job_id for job_id in ids if job_id not in late][:: -1 if newest else 1]
        for offset, limit in itertools.product(range(0, 10, 2), (1, 3, 9)):
            found = (await _list(stage, offset=offset, limit=limit, newest=newest)).split()
            assert found == left[offset : offset + limit], (late, offset, limit)


async def test_nine_thousand_expired_jobs_are_left_out_too(stage: Stage) -> None:
    members = {f"j{n}": n for n in range(9000)}
    stage.db.zadd(stage.keys.registry("queue", "default"), {**members, "live": 9001})
    stage.db.zadd(stage.keys.registry("expiring", "default"), dict.fromkeys(members, 1))

    assert (await _count(stage), await _list(stage), await _position(stage, "live")) == (1, "live", 0)


async def test_reading_changes_nothing(stage: Stage) -> None:
    await stage.enqueue(new_job("a", ttl=1000), new_job("b", delay=1000))
    await stage.failed("c", queue="third")
    await stage.age(60)
    before = stage.digest()
    for registry in ("queue", "scheduled", "failed"):
        await _count(stage, registry)
        await _list(stage, registry)
    await _position(stage, "a")

    assert stage.digest() == before
