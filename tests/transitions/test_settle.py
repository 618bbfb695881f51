"""settle: how an execution ended, recorded by the holder of the lease and by nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aqueue._core.options import DEFAULT_FAILURE_TTL_MS as YEAR
from aqueue._core.options import DEFAULT_RESULT_TTL_MS
from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._redis import lookups, operations
from tests.transitions.stage import BOOM, DAY, HOUR, OUTCOMES, Stage, each_outcome, new_job

# -- finish


async def test_a_finished_job_keeps_its_result_as_long_as_its_record(stage: Stage) -> None:
    lease = await stage.start("a")
    assert await stage.settle(lease, Finished(b"42")) == "ok"

    assert (stage.status("a"), stage.where("a")) == ("finished", ["finished"])
    assert stage.db.get(stage.keys.result("a")) == b"42"
    kept = DEFAULT_RESULT_TTL_MS
    assert kept - 5000 < stage.ttl(stage.keys.result("a")) <= kept
    assert kept - 5000 < stage.left("finished", "a") <= kept
    assert kept + DAY - 5000 < stage.ttl(stage.keys.job("a")) <= kept + DAY


async def test_ending_notes_the_time_and_counts(stage: Stage) -> None:
    await stage.finished("a")
    await stage.finished("b")

    ended_at = stage.job("a").ended_at
    assert ended_at is not None
    assert abs(ended_at - stage.now()) < 5000
    assert stage.meta("finished") == "2"


async def test_a_result_of_none_is_not_stored(stage: Stage) -> None:
    await stage.finished("a", None)

    assert stage.db.exists(stage.keys.result("a")) == 0


async def test_a_result_ttl_of_its_own_counts(stage: Stage) -> None:
    await stage.finished("a", b"r", result_ttl=HOUR)

    assert HOUR - 5000 < stage.left("finished", "a") <= HOUR
    assert HOUR - 5000 < stage.ttl(stage.keys.result("a")) <= HOUR


async def test_a_result_kept_for_ever_has_no_ttl_anywhere(stage: Stage) -> None:
    await stage.finished("a", b"r", result_ttl=-1)

    assert stage.score("finished", "a") == float("inf")
    assert stage.ttl(stage.keys.job("a")) == stage.ttl(stage.keys.result("a")) == -1


async def test_a_result_that_is_not_kept_leaves_a_tombstone_for_a_minute(stage: Stage) -> None:
    lease = await stage.start("a", nonce="n1", result_ttl=0)
    hear = stage.listen(stage.keys.done_channel("a"))
    await stage.settle(lease, Finished(b"r"))

    job = stage.job("a")
    assert (job.gone, job.status, job.nonce, job.token, job.data) == (
        True,
        "finished",
        "n1",
        lease.token,
        None,
    )
    assert (job.fence, job.incarnation, job.queue) == (1, 0, "default")
    assert 55_000 < stage.ttl(stage.keys.job("a")) <= 60_000
    assert (stage.where("a"), stage.db.exists(stage.keys.result("a"))) == ([], 0)
    assert (hear(), stage.meta("finished")) == ("finished", "1")


async def test_a_tombstone_takes_the_history_along(stage: Stage) -> None:
    lease = await stage.start("a", result_ttl=0)
    await stage.settle(lease, Retried(BOOM, 0))
    (again,) = await stage.claim()
    await stage.settle(again, Finished(None))

    assert stage.db.exists(stage.keys.history("a")) == 0


# -- fail, stop, cancel


async def test_a_failed_job_keeps_its_traceback(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.settle(lease, Failed("KeyError", "'x'", "Traceback ...\nKeyError: 'x'"))

    job = stage.job("a")
    assert (stage.where("a"), job.status) == (["failed"], "failed")
    assert (job.error_type, job.error_message) == ("KeyError", "'x'")
    assert job.exc_info == "Traceback ...\nKeyError: 'x'"
    kept = YEAR
    assert kept - 5000 < stage.left("failed", "a") <= kept
    assert kept + DAY - 5000 < stage.ttl(stage.keys.job("a")) <= kept + DAY


@pytest.mark.parametrize(
    ("outcome", "registry", "kept"),
    [(BOOM, "failed", YEAR), (Stopped(), "failed", YEAR), (Canceled(), "canceled", DAY)],
    ids=["fail", "stop", "cancel"],
)
async def test_how_long_a_job_without_a_failure_ttl_is_kept(
    stage: Stage, outcome: Outcome, registry: str, kept: int
) -> None:
    await stage.settle(await stage.start("a"), outcome)

    assert stage.where("a") == [registry]
    assert kept - 5000 < stage.left(registry, "a") <= kept


@pytest.mark.parametrize(
    ("outcome", "registry"), [(BOOM, "failed"), (Stopped(), "failed"), (Canceled(), "canceled")]
)
async def test_a_failure_ttl_of_its_own_counts(stage: Stage, outcome: Outcome, registry: str) -> None:
    await stage.settle(await stage.start("a", failure_ttl=HOUR), outcome)
    await stage.settle(await stage.start("b", failure_ttl=-1), outcome)

    assert HOUR - 5000 < stage.left(registry, "a") <= HOUR
    assert stage.score(registry, "b") == float("inf")
    assert stage.ttl(stage.keys.job("b")) == -1


async def test_a_stopped_job_lies_with_the_failed_ones_and_has_no_traceback(stage: Stage) -> None:
    await stage.settle(await stage.start("a"), Stopped())

    assert (stage.status("a"), stage.where("a"), stage.job("a").exc_info) == ("stopped", ["failed"], None)
    assert (stage.meta("stopped"), stage.meta("failed")) == ("1", None)


# -- retry, release


async def test_a_retried_job_waits_again_without_a_ttl(stage: Stage) -> None:
    lease = await stage.start("a", ttl=1000)
    stage.drain()
    assert await stage.settle(lease, Retried(BOOM, 0)) == "ok"

    job = stage.job("a")
    assert (job.status, stage.where("a"), job.attempts, stage.tokens()) == ("queued", ["queue"], 1, 1)
    assert (job.token, job.started_at, job.worker_name) == ("", None, None)
    assert (stage.score("expiring", "a"), stage.ttl(stage.keys.job("a"))) == (None, -1)


async def test_a_retry_with_a_delay_is_scheduled_and_wakes_a_worker_to_note_it(stage: Stage) -> None:
    lease = await stage.start("a")
    stage.drain()
    await stage.settle(lease, Retried(BOOM, HOUR))

    assert (stage.status("a"), stage.where("a"), stage.tokens()) == ("scheduled", ["scheduled"], 1)
    assert HOUR - 5000 < stage.left("scheduled", "a") <= HOUR


async def test_a_retry_goes_into_the_history(stage: Stage) -> None:
    await stage.add("a")
    (lease,) = await stage.claim(name="london")
    await stage.settle(lease, Retried(Failed("E", "a:b", "tb\n1:x"), 0))

    (past,) = await stage.space.client.read(lookups.history(stage.keys, "a"))
    assert (past.status, past.worker_name, past.error_type) == ("retried", "london", "E")
    assert (past.error_message, past.value) == ("a:b", b"tb\n1:x")
    assert past.started_at is not None
    assert past.ended_at is not None


async def test_the_history_keeps_the_last_nine_executions(stage: Stage) -> None:
    await stage.add("a")
    for attempt in range(12):
        (lease,) = await stage.claim()
        await stage.settle(lease, Retried(Failed("E", str(attempt), ""), 0))

    history = await stage.space.client.read(lookups.history(stage.keys, "a"))
    assert [past.error_message for past in history] == [str(n) for n in range(11, 2, -1)]
    assert stage.ttl(stage.keys.history("a")) == -1


async def test_the_history_of_a_job_that_is_kept_for_ever_stays(stage: Stage) -> None:
    await stage.settle(await stage.start("a", failure_ttl=-1), Retried(BOOM, 0))
    (lease,) = await stage.claim()
    await stage.settle(lease, BOOM)

    assert stage.ttl(stage.keys.history("a")) == -1


async def test_the_history_of_an_ended_job_goes_with_it(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.settle(lease, Retried(BOOM, 0))
    (again,) = await stage.claim()
    await stage.settle(again, Finished(None))

    assert 0 < stage.ttl(stage.keys.history("a")) <= DEFAULT_RESULT_TTL_MS + DAY


@pytest.mark.parametrize(("unknown", "counts"), [(False, (0, 1, 0)), (True, (0, 0, 1))])
async def test_a_release_uses_up_no_retry(stage: Stage, unknown: bool, counts: tuple[int, int, int]) -> None:
    lease = await stage.start("a")
    await stage.settle(lease, Released(unknown=unknown))

    job = stage.job("a")
    assert (job.attempts, job.releases, job.misses) == counts
    assert (stage.where("a"), stage.db.exists(stage.keys.history("a"))) == (["queue"], 0)


async def test_a_release_with_a_delay_is_scheduled(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.settle(lease, Released(HOUR, unknown=True))

    assert (stage.status("a"), stage.where("a")) == ("scheduled", ["scheduled"])


async def test_a_release_into_a_paused_queue_wakes_nobody(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.pause()
    await stage.settle(lease, Released())

    assert (stage.where("a"), stage.tokens()) == (["queue"], 0)


@pytest.mark.parametrize(("mode", "status"), [("cancel", "canceled"), ("stop", "stopped")])
@pytest.mark.parametrize("outcome", [Retried(BOOM, 0), Retried(BOOM, 99), Released()])
async def test_a_job_that_was_asked_to_end_does_not_run_again(
    stage: Stage, outcome: Outcome, mode: str, status: str
) -> None:
    lease = await stage.start("a")
    await stage.cancel("a", mode=mode)
    assert await stage.settle(lease, outcome) == status

    assert stage.status("a") == status
    assert stage.where("a") == ["failed" if status == "stopped" else "canceled"]
    assert stage.job("a").request is None


@pytest.mark.parametrize(("outcome", "status"), [(Finished(None), "finished"), (BOOM, "failed")])
async def test_what_had_ended_before_the_request_arrived_counts(
    stage: Stage, outcome: Outcome, status: str
) -> None:
    lease = await stage.start("a")
    await stage.cancel("a")
    await stage.settle(lease, outcome)

    assert (stage.status("a"), stage.job("a").request) == (status, None)


# -- who may settle


@each_outcome
async def test_only_the_holder_of_the_lease_may_settle(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.start("a")
    before = stage.digest()

    assert await stage.settle(replace(lease, token=lease.token + "0"), outcome) == "lost"
    assert stage.digest() == before


@each_outcome
async def test_a_lost_lease_settles_nothing(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.start("a")
    await stage.lose()
    before = stage.digest()

    assert await stage.settle(lease, outcome) == "lost"
    assert stage.digest() == before


@each_outcome
async def test_the_worker_that_was_given_up_cannot_settle_for_the_one_that_took_over(
    stage: Stage, outcome: Outcome
) -> None:
    lease = await stage.start("a")
    await stage.lose()
    await stage.claim(worker_id="worker2")
    before = stage.digest()

    assert await stage.settle(lease, outcome) == "lost"
    assert stage.digest() == before


@each_outcome
async def test_a_job_that_is_gone_settles_nothing(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.finished("a")
    await stage.delete("a")
    before = stage.digest()

    assert await stage.settle(lease, outcome) == "lost"
    assert stage.digest() == before


@each_outcome
async def test_only_the_first_outcome_counts(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.finished("a", b"first")
    before = stage.digest()

    assert await stage.settle(lease, outcome) == "ok"
    assert stage.digest() == before


async def test_a_settle_after_the_deadline_counts_while_nobody_took_the_job(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.age(1000)

    assert await stage.settle(lease, Finished(None)) == "ok"
    assert stage.where("a") == ["finished"]


async def test_an_abandoned_job_cannot_be_settled_by_its_old_worker(stage: Stage) -> None:
    lease = await stage.start("a", max_lost=0)
    await stage.lose()

    assert await stage.settle(lease, Finished(None)) == "lost"
    assert stage.status("a") == "failed"


# -- many at once


async def test_a_hundred_outcomes_of_several_queues_go_in_one_call(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"a{n}") for n in range(50)))
    await stage.enqueue(*(new_job(f"b{n}") for n in range(50)), queue="other")
    leases = await stage.claim("default", "other", limit=100)
    outcomes = [OUTCOMES[n % len(OUTCOMES)] for n in range(100)]
    words = await stage.run(operations.settle(stage.keys, list(zip(leases, outcomes, strict=True))))

    assert words == ["ok"] * 100
    assert stage.ids("started") == stage.ids("started", "other") == []
    assert all(len(stage.where(f"a{n}") + stage.where(f"b{n}", "other")) == 2 for n in range(50))


async def test_a_lost_lease_does_not_touch_its_neighbours(stage: Stage) -> None:
    a, b, c = [await stage.start(name) for name in "abc"]
    ended: list[tuple[Lease, Outcome]] = [
        (a, Finished(b"r")),
        (replace(b, token="w:x:1"), Finished(b"r")),
        (c, BOOM),
    ]
    words = await stage.run(operations.settle(stage.keys, ended))

    assert words == ["ok", "lost", "ok"]
    assert [stage.status(name) for name in "abc"] == ["finished", "started", "failed"]
    assert stage.ids("started") == ["b"]


async def test_a_foreign_key_in_place_of_a_record_is_a_lost_lease_and_stops_no_other(stage: Stage) -> None:
    a, b = await stage.start("a"), await stage.start("b")
    stage.db.set(stage.keys.job("a"), "foreign")
    words = await stage.run(operations.settle(stage.keys, [(a, Finished(b"r")), (b, Finished(b"r"))]))

    assert (words, stage.status("b"), stage.where("b")) == (["lost", "ok"], "finished", ["finished"])
    assert stage.db.get(stage.keys.job("a")) == b"foreign"


@pytest.mark.parametrize("mode", ["cancel", "stop"])
async def test_a_job_that_ends_instead_of_running_again_is_told_also_to_a_repeated_call(
    stage: Stage, mode: str
) -> None:
    """Another outcome for the same lease says what became of it, too, in this call or in a later one."""
    lease = await stage.start("a")
    await stage.cancel("a", mode=mode)
    several: list[tuple[Lease, Outcome]] = [(lease, Released()), (lease, Retried(BOOM, 0)), (lease, BOOM)]
    word = "canceled" if mode == "cancel" else "stopped"

    for _ in range(2):
        assert await stage.run(operations.settle(stage.keys, several)) == [word, word, "ok"]


async def test_a_retry_that_was_recorded_is_ok_though_the_job_was_canceled_since(stage: Stage) -> None:
    lease = await stage.start("a")
    assert await stage.settle(lease, Retried(BOOM, 0)) == "ok"
    await stage.cancel("a")

    assert await stage.settle(lease, Retried(BOOM, 0)) == "ok"


async def test_what_was_settled_is_told_again_though_a_foreign_key_is_in_the_way(stage: Stage) -> None:
    lease = await stage.finished("a")
    stage.db.set(stage.keys.registry("started", "default"), "foreign")

    assert await stage.settle(lease, Finished(None)) == "ok"


async def test_the_same_lease_twice_in_one_call_is_settled_once(stage: Stage) -> None:
    lease = await stage.start("a")
    words = await stage.run(operations.settle(stage.keys, [(lease, Retried(BOOM, 0)), (lease, BOOM)]))

    assert words == ["ok", "ok"]
    assert (stage.status("a"), stage.job("a").attempts) == ("queued", 1)


async def test_who_waits_for_a_job_hears_how_it_ended(stage: Stage) -> None:
    hear = stage.listen(stage.keys.done_channel("a"))
    await stage.failed("a")

    assert hear() == "failed"
