"""prune: ended jobs go when their time has passed; expire: waiting ones whose ttl has passed."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Retried
from aqueue._core.status import ENDED, JobStatus
from tests import support
from tests.transitions.stage import BOOM, DAY, HOUR, Stage, new_job

YEARS = 10 * 365 * 86_400


@pytest.mark.parametrize("status", sorted(ENDED))
async def test_an_ended_job_past_its_time_leaves_nothing_behind(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    await stage.age(YEARS)
    hear = stage.listen(stage.keys.done_channel("a"))

    assert await stage.prune() is False
    assert (stage.where("a"), hear()) == ([], "deleted")
    assert stage.db.exists(stage.keys.job("a"), stage.keys.result("a"), stage.keys.history("a")) == 0


@pytest.mark.parametrize("status", sorted(ENDED))
async def test_an_ended_job_stays_until_then(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest()
    await stage.prune()

    assert stage.digest() == before


async def test_a_job_kept_for_ever_is_never_pruned(stage: Stage) -> None:
    await stage.failed("a", failure_ttl=-1)
    await stage.finished("b", result_ttl=-1)
    await stage.age(YEARS)
    await stage.prune()

    assert (stage.where("a"), stage.where("b")) == (["failed"], ["finished"])


async def test_its_history_goes_too(stage: Stage) -> None:
    await stage.settle(await stage.start("a"), Retried(BOOM, 0))
    (lease,) = await stage.claim()
    await stage.settle(lease, BOOM)
    await stage.age(YEARS)
    await stage.prune()

    assert stage.db.exists(stage.keys.history("a")) == 0


async def test_a_waiting_job_past_its_ttl_expires(stage: Stage) -> None:
    await stage.add("a", ttl=1000)
    await stage.add("b", ttl=HOUR)
    await stage.age(60)
    hear = stage.listen(stage.keys.done_channel("a"))
    await stage.prune()

    assert (stage.status("a"), stage.where("a"), hear()) == ("expired", ["expired"], "expired")
    assert DAY - 5000 < stage.left("expired", "a") <= DAY
    assert (stage.ids("queue"), stage.ids("expiring")) == (["b"], ["b"])


async def test_an_expired_job_is_kept_its_failure_ttl_if_given(stage: Stage) -> None:
    await stage.add("a", ttl=1000, failure_ttl=HOUR)
    await stage.add("b", ttl=1000, failure_ttl=-1)
    await stage.age(60)
    await stage.prune()

    assert HOUR - 5000 < stage.left("expired", "a") <= HOUR
    assert (stage.score("expired", "b"), stage.ttl(stage.keys.job("b"))) == (float("inf"), -1)


async def test_jobs_of_a_paused_queue_expire_too(stage: Stage) -> None:
    await stage.add("a", ttl=1000)
    await stage.pause()
    await stage.age(60)
    await stage.prune()

    assert stage.status("a") == "expired"


@pytest.mark.parametrize(
    "status", [status for status in JobStatus if status not in ENDED and status != "queued"]
)
async def test_only_a_waiting_job_expires(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest("expiring:*")
    stage.db.zadd(stage.keys.registry("expiring", "default"), {"a": 1})
    await stage.prune()

    assert stage.digest("expiring:*") == before
    assert stage.score("expiring", "a") is None


async def test_ids_whose_record_is_gone_foreign_or_live_leave_the_registry_alone(stage: Stage) -> None:
    await stage.add("live")
    await stage.add("other", queue="other")
    await stage.cancel("other")
    stage.db.set(stage.keys.job("foreign"), "x")
    past = dict.fromkeys(("gone", "live", "foreign", "other"), 1)
    stage.db.zadd(stage.keys.registry("finished", "default"), past)
    stage.db.zadd(stage.keys.registry("canceled", "default"), {"other": 1})
    await stage.prune()

    assert stage.ids("finished") == stage.ids("canceled") == []
    assert (stage.where("live"), stage.where("other", "other")) == (["queue"], ["canceled"])
    assert (stage.status("live"), stage.job("live").data) == ("queued", b"arguments")
    assert stage.db.get(stage.keys.job("foreign")) == b"x"
    assert stage.status("other") == "canceled"


async def test_a_stale_entry_in_another_registry_of_its_queue_takes_no_job_along(stage: Stage) -> None:
    await stage.failed("a")
    stage.db.zadd(stage.keys.registry("finished", "default"), {"a": 1})
    await stage.prune()

    assert (stage.where("a"), stage.status("a")) == (["failed"], "failed")


async def test_a_tombstone_is_not_pruned_by_a_stale_entry(stage: Stage) -> None:
    await stage.finished("a", result_ttl=0)
    stage.db.zadd(stage.keys.registry("finished", "default"), {"a": 1})
    await stage.prune()

    assert stage.job("a").gone


async def test_one_call_is_bounded_over_all_queues_and_registries(stage: Stage) -> None:
    for queue in ("default", "other"):
        await stage.add("e1" + queue, "e2" + queue, queue=queue, ttl=1000)
        await stage.add("c1" + queue, "c2" + queue, queue=queue)
        await stage.cancel("c1" + queue)
        await stage.cancel("c2" + queue)
    await support.age(stage.space, seconds=YEARS, queues=("default", "other"))

    assert [await stage.prune("default", "other", limit=3) for _ in range(3)] == [True, True, False]
    for queue in ("default", "other"):
        assert (len(stage.ids("expired", queue)), stage.ids("canceled", queue)) == (2, [])


async def test_five_hundred_jobs_go_in_one_call(stage: Stage) -> None:
    for start in range(6):
        await stage.enqueue(*(new_job(f"j{start}-{n}", ttl=1000) for n in range(100)))
    await stage.age(60)

    assert [await stage.prune(), len(stage.ids("queue")), len(stage.ids("expired"))] == [True, 100, 500]


async def test_workers_whose_record_has_ended_leave_the_index(stage: Stage) -> None:
    await stage.extend(worker_id="here")
    stage.db.zadd(stage.keys.workers, {"gone": stage.now() - 1})
    await stage.prune()

    assert stage.db.zrange(stage.keys.workers, 0, -1) == [b"here"]
