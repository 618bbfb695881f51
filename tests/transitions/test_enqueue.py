"""enqueue: what is stored, and who is refused."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Finished
from aqueue._core.status import ENDED, JobStatus
from aqueue._redis import operations
from tests.transitions.stage import DAY, HOUR, Stage, new_job

LIVE = [JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED, JobStatus.STARTED]


async def test_a_queued_job_is_a_record_without_ttl_and_a_member_of_its_queue(stage: Stage) -> None:
    assert await stage.enqueue(new_job("a", nonce="n1", timeout=5000)) == ["queued"]

    job = stage.job("a")
    assert (job.status, job.queue, job.nonce, job.function) == ("queued", "default", "n1", "tests.tasks.add")
    assert (job.data, job.timeout, job.incarnation, job.fence) == (b"arguments", 5000, 0, 0)
    assert stage.where("a") == ["queue"]
    assert stage.ttl(stage.keys.job("a")) == -1
    assert stage.db.smembers(stage.keys.queues) == {b"default"}


async def test_the_reply_tells_the_time_that_the_record_keeps(stage: Stage) -> None:
    stored = await stage.run(operations.enqueue(stage.keys, "default", [new_job("a")]))

    assert stored.at_ms == stage.job("a").enqueued_at == stage.job("a").created_at
    assert abs(stored.at_ms - stage.now()) < 5000


async def test_a_job_with_a_ttl_is_listed_with_its_deadline(stage: Stage) -> None:
    await stage.add("a", ttl=60_000)

    assert 55_000 < stage.left("expiring", "a") <= 60_000


async def test_a_job_with_a_delay_is_scheduled_and_its_ttl_does_not_run_yet(stage: Stage) -> None:
    assert await stage.enqueue(new_job("a", delay=HOUR, ttl=1000)) == ["scheduled"]

    assert stage.where("a") == ["scheduled"]
    assert HOUR - 5000 < stage.left("scheduled", "a") <= HOUR
    assert stage.db.smembers(stage.keys.queues) == {b"default"}
    assert stage.score("expiring", "a") is None
    job = stage.job("a")
    assert job.enqueued_at is None
    assert job.created_at is not None


async def test_a_saved_job_is_in_no_registry_and_lives_a_day(stage: Stage) -> None:
    assert await stage.enqueue(new_job("a", mode="save", ttl=1000)) == ["created"]

    assert stage.where("a") == []
    assert DAY - 5000 < stage.ttl(stage.keys.job("a")) <= DAY
    assert stage.db.smembers(stage.keys.queues) == set()
    assert stage.tokens() == 0
    assert stage.score("expiring", "a") is None


async def test_enqueuing_a_saved_job_lifts_its_ttl_and_is_no_new_incarnation(stage: Stage) -> None:
    await stage.add("a", mode="save")
    assert await stage.enqueue(new_job("a")) == ["queued"]

    assert stage.ttl(stage.keys.job("a")) == -1
    assert stage.job("a").incarnation == 0
    assert stage.where("a") == ["queue"]


async def test_enqueuing_wakes_one_worker(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.add("c")

    assert stage.tokens() == 1


async def test_enqueuing_into_a_paused_queue_wakes_nobody(stage: Stage) -> None:
    await stage.pause()
    await stage.add("a")

    assert (stage.tokens(), stage.where("a")) == (0, ["queue"])


async def test_only_a_scheduled_job_that_becomes_the_earliest_wakes_a_worker(stage: Stage) -> None:
    await stage.add("later", delay=HOUR)
    assert stage.tokens() == 1
    stage.drain()

    await stage.add("latest", delay=2 * HOUR)
    assert stage.tokens() == 0
    await stage.add("first", delay=1000)
    assert stage.tokens() == 1


@pytest.mark.parametrize("status", LIVE)
async def test_the_id_of_a_live_job_is_refused_and_nothing_changes(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest()

    assert await stage.enqueue(new_job("a")) == [f"duplicate {status}"]
    assert await stage.enqueue(new_job("a", mode="save")) == [f"duplicate {status}"]
    assert stage.digest() == before


async def test_a_duplicate_does_not_touch_its_neighbours(stage: Stage) -> None:
    await stage.add("b")
    words = await stage.enqueue(new_job("a"), new_job("b", data="other"), new_job("c"))

    assert words == ["queued", "duplicate queued", "queued"]
    assert stage.ids("queue") == ["b", "a", "c"]
    assert stage.job("b").data == b"arguments"


async def test_an_id_twice_in_one_call_is_stored_once(stage: Stage) -> None:
    words = await stage.enqueue(new_job("a", data="first"), new_job("a", data="second"))

    assert words == ["queued", "duplicate queued"]
    assert (stage.ids("queue"), stage.job("a").data) == (["a"], b"first")


async def test_an_ended_id_twice_in_one_call_starts_one_incarnation(stage: Stage) -> None:
    await stage.failed("a")
    words = await stage.enqueue(new_job("a", delay=HOUR), new_job("a"))

    assert words == ["scheduled", "duplicate scheduled"]
    assert (stage.where("a"), stage.job("a").incarnation) == (["scheduled"], 1)


async def test_the_same_nonce_twice_in_one_call_is_the_same_job(stage: Stage) -> None:
    job = new_job("a")

    assert await stage.enqueue(job, job) == ["queued", "queued"]
    assert stage.ids("queue") == ["a"]


@pytest.mark.parametrize("status", sorted(ENDED))
async def test_the_id_of_an_ended_job_starts_a_new_incarnation(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    assert await stage.enqueue(new_job("a")) == ["queued"]

    assert stage.where("a") == ["queue"]
    assert stage.job("a").incarnation == 1
    assert stage.ttl(stage.keys.job("a")) == -1


async def test_a_new_incarnation_inherits_nothing_but_its_counters(stage: Stage) -> None:
    await stage.finished("a", b"result", meta="old", description="old")
    stage.db.lpush(stage.keys.history("a"), "old")
    await stage.enqueue(new_job("a", nonce="new"))

    expected = {"status", "nonce", "queue", "incarnation", "fence", "enqueued_at", "function", "data"}
    assert {name.decode() for name in stage.job("a").fields} == expected
    assert (stage.job("a").incarnation, stage.job("a").fence) == (1, 1)
    assert stage.db.exists(stage.keys.result("a"), stage.keys.history("a")) == 0


async def test_tokens_of_two_incarnations_differ_in_the_fence(stage: Stage) -> None:
    first = await stage.finished("a")
    second = await stage.start("a")

    assert (first.token[-2:], second.token[-2:]) == (":1", ":2")


async def test_a_new_incarnation_in_another_queue_leaves_the_old_registry(stage: Stage) -> None:
    await stage.failed("a")
    assert await stage.enqueue(new_job("a"), queue="other") == ["queued"]

    assert (stage.where("a"), stage.where("a", "other")) == ([], ["queue"])
    assert stage.job("a").queue == "other"


async def test_the_tombstone_of_a_result_that_was_not_kept_gives_way(stage: Stage) -> None:
    await stage.finished("a", result_ttl=0)
    assert await stage.enqueue(new_job("a")) == ["queued"]

    job = stage.job("a")
    assert (job.gone, job.incarnation, job.fence) == (False, 1, 1)
    assert stage.ttl(stage.keys.job("a")) == -1


async def test_a_tombstone_counts_incarnations_on(stage: Stage) -> None:
    await stage.failed("a")
    await stage.finished("a", result_ttl=0)
    await stage.add("a")

    assert (stage.job("a").incarnation, stage.job("a").fence) == (2, 2)


async def test_a_job_saved_over_an_ended_one_leaves_its_registry(stage: Stage) -> None:
    await stage.failed("a")
    await stage.add("a", mode="save")

    assert (stage.where("a"), stage.status("a")) == ([], "created")
    assert 0 < stage.ttl(stage.keys.job("a")) <= DAY


async def test_a_hundred_jobs_with_all_they_can_carry_go_in_one_call(stage: Stage) -> None:
    jobs = [new_job(f"j{n}", ttl=HOUR, description="d", meta=b"m", retry="{}") for n in range(100)]

    assert await stage.enqueue(*jobs) == ["queued"] * 100
    assert stage.ids("queue") == [job.id for job in jobs]
    assert stage.db.zcard(stage.keys.registry("expiring", "default")) == 100


async def test_arguments_are_kept_byte_by_byte(stage: Stage) -> None:
    blob = bytes(range(256)) * 10
    await stage.add("a", data=blob)

    assert stage.job("a").data == blob


async def test_a_settle_of_the_old_incarnation_cannot_touch_the_new_one(stage: Stage) -> None:
    old = await stage.failed("a")
    await stage.add("a")
    before = stage.digest()

    assert await stage.settle(old, Finished(b"late")) == "lost"
    assert stage.digest() == before
