"""requeue: an ended job's next incarnation."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Finished, Retried
from aqueue._core.status import ENDED, JobStatus
from aqueue._redis import lookups
from tests.transitions.stage import BOOM, HOUR, Stage, new_job

each_ended = pytest.mark.parametrize("status", sorted(ENDED))
LIVE = [status for status in JobStatus if status not in ENDED]


@each_ended
async def test_an_ended_job_waits_again_and_its_record_stays(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    stage.drain()

    assert await stage.requeue("a") == ["ok"]
    assert (stage.status("a"), stage.where("a"), stage.tokens()) == ("queued", ["queue"], 1)
    assert stage.ttl(stage.keys.job("a")) == stage.ttl(stage.keys.history("a")) == -1
    assert stage.job("a").incarnation == 1


@pytest.mark.parametrize("status", LIVE)
async def test_a_job_that_has_not_ended_is_refused(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest()

    assert await stage.requeue("a") == [status]
    assert stage.digest("reply:*") == before


async def test_an_unknown_id_and_a_tombstone_are_missing(stage: Stage) -> None:
    await stage.finished("gone", result_ttl=0)
    before = stage.digest()

    assert await stage.requeue("gone", "unknown") == ["missing", "missing"]
    assert stage.digest("reply:*") == before


async def test_ids_are_judged_each_on_its_own(stage: Stage) -> None:
    await stage.failed("a")
    await stage.failed("c")
    await stage.add("b")

    assert await stage.requeue("a", "unknown", "b", "c", "a") == ["ok", "missing", "queued", "ok", "queued"]
    assert stage.ids("queue") == ["b", "a", "c"]
    assert stage.job("a").incarnation == 1


async def test_the_counters_and_the_outcome_start_anew(stage: Stage) -> None:
    lease = await stage.start("a", meta=b"kept", max_lost=9)
    await stage.settle(lease, Retried(BOOM, 0))
    await stage.claim()
    await stage.lose()
    (lease,) = await stage.claim()
    await stage.settle(lease, BOOM)
    await stage.requeue("a")

    stored = {name.decode() for name in stage.job("a").fields}
    expected = {
        "status",
        "nonce",
        "queue",
        "function",
        "data",
        "meta",
        "max_lost",
        "fence",
        "enqueued_at",
        "incarnation",
    }
    assert stored == expected
    assert stage.job("a").fence == 3


async def test_the_old_outcome_goes_into_the_history(stage: Stage) -> None:
    await stage.failed("a")
    await stage.requeue("a")
    (lease,) = await stage.claim()
    await stage.settle(lease, Finished(b"42"))
    await stage.requeue("a")

    newest, oldest = await stage.space.client.read(lookups.history(stage.keys, "a"))
    assert (newest.status, newest.value, newest.worker_name) == ("finished", b"42", "worker1")
    assert (oldest.status, oldest.error_type, oldest.error_message) == ("failed", "ValueError", "boom")
    assert oldest.value == BOOM.traceback.encode()
    assert stage.db.exists(stage.keys.result("a")) == 0


async def test_a_history_that_was_to_go_with_the_job_stays(stage: Stage) -> None:
    await stage.settle(await stage.start("a"), Retried(BOOM, 0))
    (lease,) = await stage.claim()
    await stage.settle(lease, BOOM)
    assert stage.ttl(stage.keys.history("a")) > 0
    await stage.requeue("a")

    assert stage.ttl(stage.keys.history("a")) == -1


async def test_the_ttl_runs_anew(stage: Stage) -> None:
    await stage.failed("a", ttl=HOUR)
    await stage.requeue("a")

    assert HOUR - 5000 < stage.left("expiring", "a") <= HOUR


async def test_a_job_kept_for_ever_loses_that_place(stage: Stage) -> None:
    await stage.failed("a", failure_ttl=-1)
    await stage.requeue("a")

    assert stage.where("a") == ["queue"]


async def test_the_old_execution_can_neither_settle_nor_extend(stage: Stage) -> None:
    lease = await stage.failed("a")
    await stage.requeue("a")
    before = stage.digest()

    assert await stage.settle(lease, Finished(None)) == "lost"
    assert stage.digest() == before
    assert (await stage.extend(lease)).lost == ["a"]


async def test_a_job_of_a_queue_that_was_dropped_brings_its_name_back(stage: Stage) -> None:
    await stage.failed("a")
    stage.db.srem(stage.keys.queues, "default")
    await stage.requeue("a")

    assert stage.db.smembers(stage.keys.queues) == {b"default"}


async def test_requeuing_into_a_paused_queue_wakes_nobody(stage: Stage) -> None:
    await stage.failed("a")
    await stage.pause()
    await stage.requeue("a")

    assert (stage.where("a"), stage.tokens()) == (["queue"], 0)


async def test_a_hundred_jobs_of_two_queues_go_in_one_call(stage: Stage) -> None:
    names = [f"j{n}" for n in range(100)]
    await stage.enqueue(*(new_job(name) for name in names[:50]))
    await stage.enqueue(*(new_job(name) for name in names[50:]), queue="other")
    for name in names:
        await stage.cancel(name)

    assert await stage.requeue(*names) == ["ok"] * 100
    assert stage.ids("queue") + stage.ids("queue", "other") == names
