"""How mending mends: where jobs are put back, what is left alone, and what is no damage."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from redis.exceptions import ResponseError

from aqueue import Job, Queue
from aqueue._redis import mending
from aqueue.mending import examine
from tests import tasks
from tests.doctor.planting import OUTCOMES, Command, Ground
from tests.transitions.stage import HOUR
from tests.worker.hands import burst

STATUSES = (
    "queued", "scheduled", "deferred", "expired", "created", "beating", "started", *OUTCOMES,
)  # fmt: skip


@pytest.mark.parametrize("job_id", ["a", "a:b@c.d_e-f", "x" * 128])
@pytest.mark.parametrize("status", STATUSES)
async def test_nothing_is_damaged_that_we_wrote(ground: Ground, status: str, job_id: str) -> None:
    await ground.make(status, job_id)

    assert await ground.examine() == {}
    await ground.stage.age(60)
    assert await ground.examine() == {}


async def test_a_queue_without_jobs_is_no_damage(ground: Ground) -> None:
    await ground.stage.pause(queue="paused")
    await ground.stage.pause(queue="resumed")
    await ground.stage.pause(queue="resumed", paused=False)

    assert await ground.examine() == {}


async def test_a_job_that_waits_ahead_of_all_others_is_in_its_place(ground: Ground) -> None:
    await ground.stage.pause()
    for _ in range(2):
        await Queue(is_async=False).enqueue(tasks.add, 1, 2, priority=5)

    assert await ground.examine() == {}


@pytest.mark.parametrize("when", [-(10**16), 0, 10**16])
async def test_a_time_that_cannot_have_been_is_not_counted_from(ground: Ground, when: int) -> None:
    await ground.make("canceled")
    await ground.make("queued", "b", ttl=60)
    ground.run(
        [
            ("HSET", "job:a", "ended_at", when),
            ("ZREM", "canceled:default", "a"),
            ("HSET", "job:b", "enqueued_at", when),
            ("ZREM", "expiring:default", "b"),
        ]
    )

    assert {"unfiled_ended", "no_deadline"} <= set(await ground.examine(repair=True))
    assert await ground.examine() == {}
    await ground.stage.prune()
    assert (ground.stage.status("a"), ground.stage.status("b")) == ("canceled", "queued")


async def test_a_job_that_ended_long_ago_and_whose_record_went_first_is_left_to_prune(ground: Ground) -> None:
    await ground.make("failed")
    ground.run([("ZADD", "failed:default", 1, "a"), ("DEL", "job:a")])

    assert await ground.examine() == {}


@pytest.mark.parametrize(
    ("part", "more"),
    [
        ("keys", {}),
        ("queues", {}),
        ("workers", {}),
        ("entries", {"registry": "failed", "queue": "default"}),
        ("records", {}),
        ("jobs", {}),
    ],
)
@pytest.mark.parametrize("name", [b"ghost", b"result:a b", b"ghost:a"])
async def test_what_went_before_it_was_looked_at_is_no_damage(
    ground: Ground, part: str, more: dict[str, str], name: bytes
) -> None:
    seen = await ground.stage.run(mending.mend(ground.space.keys, part, [name], repair=True, **more))

    assert list(seen) == []
    assert ground.stage.digest() == {}


@pytest.mark.parametrize("name", ["colour", "colour:x", "queue", "queues:x"])
async def test_a_key_that_this_version_does_not_know_is_left_alone(ground: Ground, name: str) -> None:
    ground.run([("SET", name, "x")])
    before = ground.stage.digest()

    seen = await examine(repair=True)

    assert (seen.unknown, seen.harms) == ({name}, {})
    assert ground.stage.digest() == before


@pytest.mark.parametrize("field", ["attempts", "lost", "releases", "misses"])
async def test_a_job_that_was_started_before_has_no_deadline(ground: Ground, field: str) -> None:
    await ground.make("queued", ttl=60)
    ground.run([("HSET", "job:a", field, 1), ("ZREM", "expiring:default", "a")])

    assert await ground.examine() == {}


async def test_a_worker_that_is_dead_need_not_be_listed(ground: Ground) -> None:
    await ground.make("beating")
    ground.run([("HSET", "worker:worker1", "heartbeat", 1), ("ZREM", "workers", "worker1")])

    assert await ground.examine() == {}


async def test_a_worker_whose_record_has_ended_is_left_to_others(ground: Ground) -> None:
    await ground.make("beating")
    ground.run([("DEL", "worker:worker1"), ("ZADD", "workers", 1, "worker1")])

    assert await ground.examine() == {}


async def test_a_running_job_goes_on_though_a_number_is_lost(ground: Ground) -> None:
    await ground.make("started")
    ground.run([("HSET", "job:a", "max_lost", "inf")])

    await ground.examine(repair=True)

    assert ground.stage.status("a") == "started"


async def test_a_job_that_has_failed_keeps_its_reason_though_a_number_is_lost(ground: Ground) -> None:
    await ground.make("failed")
    ground.run([("HSET", "job:a", "failure_ttl", "soon")])

    await ground.examine(repair=True)

    assert ground.stage.job("a").error_type == "ValueError"


async def test_a_saved_job_that_is_failed_is_kept_as_long_as_it_was_to_be(ground: Ground) -> None:
    await ground.make("created")
    ground.run([("HDEL", "job:a", "queue"), ("HSET", "job:a", "failure_ttl", -1)])

    assert set(await ground.examine(repair=True)) == {"no_queue"}

    assert ground.stage.ttl(ground.space.keys.job("a")) == -1


async def test_a_job_that_is_failed_belongs_to_no_execution(ground: Ground) -> None:
    await ground.make("started")
    ground.run([("HSET", "job:a", "status", "nonsense", "place", 1, "request", "stopped", "settled", "w:1")])

    await ground.examine(repair=True)

    held = ground.stage.db.hkeys(ground.space.keys.job("a"))
    assert {b"token", b"place", b"request", b"settled"}.isdisjoint(held)


async def test_a_scheduled_job_that_lost_its_time_is_run_now(ground: Ground) -> None:
    await ground.make("scheduled")
    ground.run([("HSET", "job:a", "created_at", 2**52), ("ZREM", "scheduled:default", "a")])

    await ground.examine(repair=True)
    await burst(ground.queue)

    assert await (await Job.fetch("a")).return_value() == 3


async def test_jobs_are_put_back_behind_those_of_their_priority(ground: Ground) -> None:
    for job_id, priority in (("low", -5), ("a", 5), ("b", 5), ("normal", 0)):
        await ground.queue.enqueue(tasks.add, 1, 2, job_id=job_id, priority=priority)
    ground.run([("ZREM", "queue:default", "a"), ("DEL", "wake:default")])

    assert set(await ground.examine(repair=True)) == {"unfiled_queued"}

    assert ground.stage.ids("queue") == ["b", "a", "normal", "low"]
    assert ground.stage.db.llen(ground.space.keys.wake("default")) == 1


async def test_a_started_job_gets_a_lease_as_long_as_its_worker_s_and_is_recovered_then(
    ground: Ground,
) -> None:
    lease = await ground.stage.start("a", lease_ms=HOUR)
    await ground.stage.extend(lease, lease_ms=HOUR)
    ground.run([("ZREM", "started:default", "a")])

    await ground.examine(repair=True)

    left = ground.stage.db.zscore(ground.space.keys.registry("started", "default"), "a") - ground.stage.now()
    assert HOUR - 60_000 < left <= HOUR
    assert list((await ground.stage.extend(lease)).lost) == []  # its worker holds it still
    assert (await ground.stage.lose(2 * HOUR)).jobs == {"a": "queued"}


async def test_a_deferred_job_is_listed_by_the_time_of_its_creation(ground: Ground) -> None:
    await ground.make("deferred")
    ground.run([("HSET", "job:a", "created_at", 12_345), ("ZREM", "deferred:default", "a")])

    await ground.examine(repair=True)

    assert ground.stage.db.zscore(ground.space.keys.registry("deferred", "default"), "a") == 12_345


async def test_what_is_failed_tells_why_and_can_be_requeued(ground: Ground) -> None:
    await ground.make("queued", ttl=60)
    ground.run([("HSET", "job:a", "ttl", "soon")])
    await ground.examine(repair=True)
    job = await Job.fetch("a")
    assert job.exc_info == "PayloadError: its field ttl is no number that we wrote"

    await job.requeue()
    await burst(ground.queue)

    assert await job.return_value() == 3


async def test_a_repair_that_is_broken_off_and_begun_anew_mends_the_rest(ground: Ground) -> None:
    for number in range(120):
        await ground.make("queued", f"j{number}")
    ground.run([("DEL", "queue:default")])
    walked = 0

    def break_off(count: int) -> None:
        nonlocal walked
        walked += count
        if walked > 500:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await examine(ground.url, repair=True, progress=break_off)
    await ground.examine(repair=True)

    assert len(ground.stage.ids("queue")) == 120
    ground.check()


@pytest.mark.parametrize(
    "foreign", ["queue:default", "meta:default", "wake:default", "queues", "expiring:default"]
)
@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("records", ("HDEL", "job:a", "status")),
        ("records", ("HSET", "job:a", "ttl", "soon")),
        ("jobs", ("HDEL", "job:a", "")),
    ],
)
async def test_while_a_foreign_key_is_in_the_way_nothing_is_half_mended(
    ground: Ground, foreign: str, part: str, command: Command
) -> None:
    await ground.make("queued")
    ground.run([("ZREM", "queue:default", "a"), command, ("DEL", foreign), ("SET", foreign, "x")])
    before = ground.stage.digest()

    seen = await ground.stage.run(mending.mend(ground.space.keys, part, [b"a"], repair=True))

    assert [damage.is_left for damage in seen] == [True]
    assert ground.stage.digest() == before


NUMBERS = {"keys": 2, "workers": 1, "records": 2, "jobs": 4}


@pytest.mark.parametrize(
    ("part", "number"), [(part, number) for part, count in NUMBERS.items() for number in range(count)]
)
async def test_a_number_that_is_none_ends_no_repair_halfway(ground: Ground, part: str, number: int) -> None:
    await ground.make("failed")
    operation = mending.mend(ground.space.keys, part, [b"a"], repair=True)
    at = 2 + number  # behind the prefix and what is asked
    before = ground.stage.digest()

    for junk in ("", "1.5"):
        broken = replace(operation, args=[*operation.args[:at], junk, *operation.args[at + 1 :]])
        with pytest.raises(ResponseError, match="aqueue: one of the call's numbers is none"):
            await ground.stage.run(broken)
    assert ground.stage.digest() == before
