"""extend: renew leases, beat, and bring back what was asked of running jobs."""

from __future__ import annotations

from dataclasses import replace

from aqueue._core.outcome import Finished, Lease
from aqueue._core.record import JobRecord
from aqueue._redis import operations
from tests.transitions.stage import Stage, new_job


async def test_a_lease_lasts_from_now_on(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.age(20)
    extended = await stage.extend(lease, lease_ms=40_000)

    assert (extended.lost, extended.asked) == ([], {})
    assert 35_000 < stage.left("started", "a") <= 40_000


async def test_a_lease_that_has_passed_is_extended_while_nobody_took_it(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.age(100)
    extended = await stage.extend(lease)

    assert (extended.lost, stage.left("started", "a") > 0) == ([], True)


async def test_the_lease_of_another_execution_is_lost(stage: Stage) -> None:
    old = await stage.start("a")
    await stage.lose()
    (new,) = await stage.claim()
    deadline = stage.score("started", "a")
    extended = await stage.extend(old)

    assert extended.lost == ["a"]
    assert (stage.job("a").token, stage.score("started", "a")) == (new.token, deadline)


async def test_the_lease_of_a_job_that_was_taken_back_is_lost(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.lose()

    assert (await stage.extend(lease)).lost == ["a"]
    assert stage.where("a") == ["queue"]


async def test_the_lease_of_an_ended_or_deleted_job_is_lost(stage: Stage) -> None:
    ended = await stage.finished("a")
    gone = Lease(JobRecord("gone", {b"queue": b"default"}), "worker1:n:1")

    assert (await stage.extend(ended, gone)).lost == ["a", "gone"]
    assert stage.ids("started") == []


async def test_an_id_that_is_not_in_the_registry_is_not_put_there(stage: Stage) -> None:
    lease = await stage.start("a")
    stage.db.zrem(stage.keys.registry("started", "default"), "a")

    assert (await stage.extend(lease)).lost == ["a"]
    assert stage.ids("started") == []


async def test_a_stale_entry_in_the_registry_revives_no_lease(stage: Stage) -> None:
    lease = await stage.finished("a")
    stage.db.zadd(stage.keys.registry("started", "default"), {"a": 1})

    assert (await stage.extend(lease)).lost == ["a"]
    assert stage.score("started", "a") == 1


async def test_each_lease_is_judged_on_its_own(stage: Stage) -> None:
    a = await stage.start("a")
    b = await stage.start("b", queue="other")
    extended = await stage.extend(a, replace(b, token="worker1:x:9"), b)

    assert extended.lost == ["b"]
    assert stage.left("started", "b", "other") > 25_000


async def test_a_foreign_key_in_place_of_a_record_is_a_lost_lease_and_stops_no_other(stage: Stage) -> None:
    a, b = await stage.start("a"), await stage.start("b")
    await stage.age(20)
    stage.db.set(stage.keys.job("a"), "foreign")

    assert (await stage.extend(a, b)).lost == ["a"]
    assert stage.left("started", "b") > 25_000


async def test_what_was_asked_of_running_jobs_comes_back(stage: Stage) -> None:
    a = await stage.start("a")
    b = await stage.start("b")
    c = await stage.start("c")
    await stage.cancel("a")
    await stage.cancel("b", mode="stop")

    assert (await stage.extend(a, b, c)).asked == {"a": "cancel", "b": "stop"}


async def test_the_last_request_counts(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.cancel("a", mode="stop")
    await stage.cancel("a")

    assert (await stage.extend(lease)).asked == {"a": "cancel"}


async def test_a_beat_keeps_the_workers_record(stage: Stage) -> None:
    await stage.extend(worker_id="w9", lease_ms=10_000)

    record = stage.db.hgetall(stage.keys.worker("w9"))
    assert record.keys() == {b"heartbeat", b"lease", b"host"}
    assert (record[b"lease"], record[b"host"]) == (b"10000", b"here")
    assert 3_635_000 < stage.ttl(stage.keys.worker("w9")) <= 3_640_000
    ends = stage.db.zscore(stage.keys.workers, "w9")
    assert 35_000 < ends - stage.now() <= 40_000


async def test_a_beat_keeps_the_last_claim_of_the_workers_record(stage: Stage) -> None:
    await stage.add("a")
    first = await stage.claim(nonce="n1")
    await stage.extend(*first)

    assert [lease.token for lease in await stage.claim(nonce="n1")] == [lease.token for lease in first]


async def test_five_hundred_leases_go_in_one_call(stage: Stage) -> None:
    leases: list[Lease] = []
    for start in range(5):
        await stage.enqueue(*(new_job(f"j{start}-{n}") for n in range(100)))
        leases += await stage.claim(limit=100)
    await stage.settle(leases[0], Finished(None))
    await stage.age(20)
    extended = await stage.extend(*leases)

    assert extended.lost == [leases[0].job_id]
    assert stage.db.zcount(stage.keys.registry("started", "default"), stage.now() + 25_000, "+inf") == 499


async def test_a_beat_after_a_silence_holds_recovery_back(stage: Stage) -> None:
    stage.db.set(stage.keys.heartbeat, stage.now() - 16_000)
    await stage.extend(lease_ms=30_000)

    hold = int(stage.db.get(stage.keys.hold))
    assert 25_000 < hold - stage.now() <= 30_000


async def test_a_beat_without_a_silence_holds_nothing_back(stage: Stage) -> None:
    stage.db.set(stage.keys.heartbeat, stage.now() - 14_000)
    await stage.extend(lease_ms=30_000)

    assert stage.db.get(stage.keys.hold) is None
    assert abs(int(stage.db.get(stage.keys.heartbeat)) - stage.now()) < 5000


async def test_a_beat_after_the_clock_was_put_back_holds_recovery_back(stage: Stage) -> None:
    stage.db.set(stage.keys.heartbeat, stage.now() + 3_600_000)
    await stage.extend(lease_ms=30_000)

    assert int(stage.db.get(stage.keys.hold)) > stage.now() + 25_000
    assert abs(int(stage.db.get(stage.keys.heartbeat)) - stage.now()) < 5000


async def test_the_first_beat_of_a_namespace_holds_recovery_back(stage: Stage) -> None:
    await stage.extend()

    assert stage.db.get(stage.keys.hold) is not None


async def test_a_worker_that_leaves_takes_its_record_along(stage: Stage) -> None:
    await stage.extend(worker_id="w1")
    await stage.extend(worker_id="w2")
    await stage.run(operations.leave(stage.keys, "w1"))

    assert stage.db.exists(stage.keys.worker("w1")) == 0
    assert stage.db.zrange(stage.keys.workers, 0, -1) == [b"w2"]
