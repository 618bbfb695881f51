"""recover: take jobs back whose worker has disappeared, unless it was Redis that was away."""

from __future__ import annotations

import pytest

from aqueue._core.options import DEFAULT_FAILURE_TTL_MS
from aqueue._redis import operations
from aqueue._redis.operations import Recovered
from tests import support
from tests.transitions.stage import DAY, HOUR, Stage, new_job


async def _recover(stage: Stage, lease_ms: int = 30_000) -> Recovered:
    """Recover as it is, without a beat before."""
    return await stage.space.client.run(operations.recover(stage.keys, ["default"], lease_ms=lease_ms))


async def test_a_job_whose_lease_has_passed_waits_again_at_its_old_place(stage: Stage) -> None:
    await stage.add("a", "b", priority=5)
    place = stage.score("queue", "a")
    await stage.claim(limit=1)
    stage.drain()

    assert (await stage.lose()).jobs == {"a": "queued"}
    assert (stage.status("a"), stage.where("a"), stage.score("queue", "a")) == ("queued", ["queue"], place)
    assert (stage.job("a").lost, stage.meta("lost"), stage.tokens()) == (1, "1", 1)


async def test_a_job_that_runs_again_forgets_the_execution_that_was_lost(stage: Stage) -> None:
    await stage.add("a", ttl=1000)
    await stage.claim(name="london")
    await stage.lose()

    job = stage.job("a")
    assert (job.token, job.started_at, job.worker_name, job.attempts) == ("", None, None, 0)
    assert stage.score("expiring", "a") is None
    assert stage.ttl(stage.keys.job("a")) == -1


async def test_a_lease_that_has_not_passed_is_left_alone_and_nobody_is_woken(stage: Stage) -> None:
    lease = await stage.start("a")
    stage.drain()
    await stage.age(29)

    assert (await stage.recover()).jobs == {}
    assert (stage.where("a"), stage.job("a").token) == (["started"], lease.token)
    assert stage.tokens() == 0


async def test_from_the_second_loss_on_a_job_comes_back_within_two_to_the_n_seconds(stage: Stage) -> None:
    await stage.start("a", max_lost=20)
    for lost in range(1, 13):
        await stage.lose()
        assert stage.job("a").lost == lost
        if lost > 1:
            assert stage.where("a") == ["scheduled"]
            spread = 2 ** min(lost, 10) * 1000
            assert spread - 5000 < stage.left("scheduled", "a") <= spread
        await stage.age(2000)
        await stage.claim()


async def test_the_spread_parts_neighbours_of_one_batch(stage: Stage) -> None:
    await stage.add("a", "b", "c", "d")
    for _ in range(2):
        await stage.claim()
        await stage.lose()
    due = [stage.score("scheduled", name) or 0 for name in "abcd"]

    assert [later - due[0] for later in due] == [0, 1000, 2000, 3000]
    assert 500 <= stage.left("scheduled", "a") <= 1000


async def test_a_job_that_lost_its_worker_too_often_fails_as_abandoned(stage: Stage) -> None:
    await stage.add("a")
    for _ in range(3):
        await stage.claim(name="london")
        await stage.lose()
        await stage.age(100)
    assert stage.status("a") == "scheduled"
    await stage.claim(name="london")
    hear = stage.listen(stage.keys.done_channel("a"))

    assert (await stage.lose()).jobs == {"a": "failed"}
    job = stage.job("a")
    assert (job.error_type, stage.where("a"), hear()) == ("AbandonedJobError", ["failed"], "failed")
    assert job.exc_info == "AbandonedJobError: its worker disappeared 4 times while it ran, last london"
    assert (job.token, job.attempts, job.worker_name) == ("", 0, "london")
    assert DEFAULT_FAILURE_TTL_MS - 5000 < stage.left("failed", "a") <= DEFAULT_FAILURE_TTL_MS


async def test_a_job_may_allow_no_loss_at_all(stage: Stage) -> None:
    await stage.start("a", max_lost=0, failure_ttl=HOUR)

    assert (await stage.lose()).jobs == {"a": "failed"}
    assert HOUR - 5000 < stage.left("failed", "a") <= HOUR
    assert HOUR + DAY - 5000 < stage.ttl(stage.keys.job("a")) <= HOUR + DAY


@pytest.mark.parametrize(
    ("mode", "status", "registry"), [("cancel", "canceled", "canceled"), ("stop", "stopped", "failed")]
)
async def test_a_request_holds_also_when_the_worker_disappears(
    stage: Stage, mode: str, status: str, registry: str
) -> None:
    await stage.start("a")
    await stage.cancel("a", mode=mode)

    assert (await stage.lose()).jobs == {"a": status}
    assert (stage.status("a"), stage.where("a"), stage.job("a").request) == (status, [registry], None)


async def test_an_id_whose_record_is_gone_foreign_or_ended_leaves_the_registry(stage: Stage) -> None:
    for name in ("gone", "foreign", "ended", "a"):
        await stage.start(name)
    stage.db.delete(stage.keys.job("gone"))
    stage.db.set(stage.keys.job("foreign"), "x")
    stage.db.hset(stage.keys.job("ended"), "status", "finished")

    assert (await stage.lose()).jobs == {"a": "queued"}
    assert (stage.ids("started"), stage.ids("queue"), stage.db.exists(stage.keys.job("gone"))) == (
        [],
        ["a"],
        0,
    )


async def test_recovery_is_bounded_and_says_when_there_is_more(stage: Stage) -> None:
    for queue in ("default", "other"):
        await stage.enqueue(*(new_job(f"{queue}{n}") for n in range(3)), queue=queue)
        await stage.claim(queue)
    await support.age(stage.space, seconds=60, queues=("default", "other"))

    calls = [await stage.recover("default", "other", limit=4) for _ in range(3)]
    assert [(len(call.jobs), call.full) for call in calls] == [(4, True), (2, False), (0, False)]


async def test_five_hundred_jobs_are_recovered_in_one_call(stage: Stage) -> None:
    for start in range(6):
        await stage.enqueue(*(new_job(f"j{start}-{n}") for n in range(100)))
        await stage.claim(limit=100)

    assert len((await stage.lose()).jobs) == 500
    assert (len(stage.ids("queue")), len(stage.ids("started"))) == (500, 100)


async def test_what_is_not_told_otherwise_recovers_a_hundred_jobs_a_call(stage: Stage) -> None:
    for start in range(2):
        await stage.enqueue(*(new_job(f"j{start}-{n}") for n in range(100)))
        await stage.claim(limit=100)
    await stage.age(60)
    await support.beat(stage.space)
    stage.db.delete(stage.keys.hold)

    calls = [
        await stage.space.client.run(operations.recover(stage.keys, ["default"], lease_ms=30_000))
        for _ in range(3)
    ]
    assert [(len(call.jobs), call.full) for call in calls] == [(100, True), (100, True), (0, False)]


# -- the silence guard


async def test_nothing_is_recovered_after_a_silence_until_a_lease_has_passed(stage: Stage) -> None:
    await stage.start("a")
    await stage.age(60)
    stage.db.set(stage.keys.heartbeat, stage.now() - 16_000)

    assert (await _recover(stage)).hold
    assert 25_000 < int(stage.db.get(stage.keys.hold)) - stage.now() <= 30_000
    assert abs(int(stage.db.get(stage.keys.heartbeat)) - stage.now()) < 5000
    assert (await _recover(stage)).hold
    assert stage.where("a") == ["started"]


async def test_a_silence_of_less_than_half_a_lease_holds_nothing_back(stage: Stage) -> None:
    await stage.start("a")
    await stage.age(60)
    stage.db.set(stage.keys.heartbeat, stage.now() - 13_000)

    assert (await _recover(stage)).jobs == {"a": "queued"}


async def test_nothing_is_recovered_in_a_namespace_where_nobody_ever_beat(stage: Stage) -> None:
    await stage.start("a")
    await stage.age(60)

    assert (await _recover(stage)).hold


async def test_recovery_goes_on_once_the_hold_has_passed(stage: Stage) -> None:
    await stage.start("a")
    await stage.age(60)
    stage.db.mset({stage.keys.heartbeat: stage.now(), stage.keys.hold: stage.now() - 1})

    assert (await _recover(stage)).jobs == {"a": "queued"}


# -- the clock was put back


async def test_a_hold_far_ahead_counts_as_one_lease(stage: Stage) -> None:
    stage.db.mset({stage.keys.heartbeat: stage.now(), stage.keys.hold: stage.now() + HOUR})

    assert (await _recover(stage)).hold
    assert 25_000 < int(stage.db.get(stage.keys.hold)) - stage.now() <= 30_000


async def test_a_hold_within_two_leases_is_left_as_it_is(stage: Stage) -> None:
    hold = stage.now() + 55_000
    stage.db.mset({stage.keys.heartbeat: stage.now(), stage.keys.hold: hold})

    assert (await _recover(stage)).hold
    assert int(stage.db.get(stage.keys.hold)) == hold


async def test_a_heartbeat_far_ahead_is_a_silence(stage: Stage) -> None:
    stage.db.set(stage.keys.heartbeat, stage.now() + HOUR)

    assert (await _recover(stage)).hold
    assert abs(int(stage.db.get(stage.keys.heartbeat)) - stage.now()) < 5000


async def test_a_deadline_far_ahead_counts_as_one_lease(stage: Stage) -> None:
    await stage.start("a")
    await stage.age(-3600)

    assert (await stage.recover()).jobs == {}
    assert 25_000 < stage.left("started", "a") <= 30_000


async def test_a_deadline_far_ahead_of_a_worker_without_a_record_counts_as_the_callers_lease(
    stage: Stage,
) -> None:
    await stage.start("a")
    stage.db.delete(stage.keys.worker("worker1"))
    await stage.age(-3600)
    await stage.recover(lease_ms=20_000)

    assert 15_000 < stage.left("started", "a") <= 20_000


async def test_a_worker_with_a_shorter_lease_leaves_longer_ones_alone(stage: Stage) -> None:
    await stage.start("a", lease_ms=60_000)
    await stage.age(20)
    await stage.recover(lease_ms=1000)

    assert 35_000 < stage.left("started", "a") <= 40_000


async def test_long_leases_do_not_hide_one_that_is_far_ahead(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"j{n}") for n in range(100)))
    await stage.claim(limit=100, lease_ms=60_000)
    await stage.start("a", lease_ms=60_000)
    stage.db.zincrby(stage.keys.registry("started", "default"), HOUR, "a")
    await stage.recover(lease_ms=1000)

    assert stage.left("started", "a") <= 60_000
