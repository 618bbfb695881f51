"""cancel, and its modes stop and quarantine."""

from __future__ import annotations

import pytest

from aqueue._core.options import DEFAULT_FAILURE_TTL_MS
from aqueue._core.status import ENDED, WAITING, JobStatus
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from tests.transitions.stage import DAY, HOUR, Stage

NOT_STARTED = sorted({JobStatus.CREATED, *WAITING})
waiting_or_created = pytest.mark.parametrize("status", NOT_STARTED)
ended = pytest.mark.parametrize("status", sorted(ENDED))


@waiting_or_created
async def test_canceling_a_job_that_has_not_begun_takes_effect_at_once(
    stage: Stage, status: JobStatus
) -> None:
    await stage.make(status)
    hear = stage.listen(stage.keys.done_channel("a"))

    assert await stage.cancel("a") == "canceled"
    assert (stage.status("a"), stage.where("a"), hear()) == ("canceled", ["canceled"], "canceled")
    assert DAY - 5000 < stage.left("canceled", "a") <= DAY
    assert 2 * DAY - 5000 < stage.ttl(stage.keys.job("a")) <= 2 * DAY
    assert stage.score("expiring", "a") is None
    assert (stage.meta("canceled"), stage.job("a").ended_at is not None) == ("1", True)
    assert stage.job("a").exc_info is None


@waiting_or_created
async def test_a_quarantined_job_fails_with_the_error_given(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    error = {"error_type": "Exception", "error_message": "Some fake error"}

    assert await stage.cancel("a", mode="quarantine", **error) == "failed"
    job = stage.job("a")
    assert (stage.where("a"), job.status) == (["failed"], "failed")
    assert (job.exc_info, job.error_type) == ("Exception: Some fake error", "Exception")
    assert (job.error_message, stage.score("expiring", "a")) == ("Some fake error", None)
    kept = DEFAULT_FAILURE_TTL_MS
    assert kept - 5000 < stage.left("failed", "a") <= kept


async def test_a_quarantine_without_a_message_names_the_class_alone(stage: Stage) -> None:
    await stage.add("a")
    await stage.cancel("a", mode="quarantine", error_type="KeyError")

    assert stage.job("a").exc_info == "KeyError"


async def test_a_queue_of_which_only_a_canceled_draft_is_left_has_a_name(stage: Stage) -> None:
    await stage.add("a", mode="save")
    await stage.cancel("a")

    assert stage.db.smembers(stage.keys.queues) == {b"default"}


@pytest.mark.parametrize(("mode", "registry"), [("cancel", "canceled"), ("quarantine", "failed")])
async def test_a_failure_ttl_of_its_own_counts(stage: Stage, mode: str, registry: str) -> None:
    await stage.add("a", failure_ttl=HOUR)
    await stage.add("b", failure_ttl=-1, mode="save")
    await stage.cancel("a", mode=mode)
    await stage.cancel("b", mode=mode)

    assert HOUR - 5000 < stage.left(registry, "a") <= HOUR
    assert stage.score(registry, "b") == float("inf")
    assert stage.ttl(stage.keys.job("b")) == -1


@pytest.mark.parametrize("mode", ["cancel", "stop"])
async def test_a_running_job_keeps_running_and_its_worker_is_asked(stage: Stage, mode: str) -> None:
    lease = await stage.start("a")
    hear = stage.listen(stage.keys.commands_channel("worker1"))

    assert await stage.cancel("a", mode=mode) == "started"
    assert (stage.job("a").request, stage.where("a"), hear()) == (mode, ["started"], f"{mode} a")
    assert stage.job("a").token == lease.token


async def test_a_running_job_cannot_be_quarantined(stage: Stage) -> None:
    await stage.start("a")
    before = stage.digest()

    with pytest.raises(InvalidJobOperation, match="cannot quarantine job 'a': it is started"):
        await stage.cancel("a", mode="quarantine")
    assert stage.digest() == before


@waiting_or_created
async def test_only_a_running_job_can_be_stopped(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest()

    with pytest.raises(InvalidJobOperation, match=f"cannot stop job 'a': it is {status}"):
        await stage.cancel("a", mode="stop")
    assert stage.digest() == before


@ended
@pytest.mark.parametrize("mode", ["cancel", "stop", "quarantine"])
async def test_an_ended_job_stays_as_it_is(stage: Stage, mode: str, status: JobStatus) -> None:
    await stage.make(status)
    before = stage.digest()

    with pytest.raises(InvalidJobOperation, match=f"cannot {mode} job 'a': it is {status}"):
        await stage.cancel("a", mode=mode)
    assert stage.digest() == before


@pytest.mark.parametrize("mode", ["cancel", "stop", "quarantine"])
async def test_an_unknown_id_and_a_tombstone_are_no_jobs(stage: Stage, mode: str) -> None:
    await stage.finished("gone", result_ttl=0)
    before = stage.digest()

    for job_id in ("gone", "unknown"):
        with pytest.raises(NoSuchJobError, match=job_id):
            await stage.cancel(job_id, mode=mode)
    assert stage.digest() == before


async def test_a_canceled_scheduled_job_is_not_scheduled_any_more(stage: Stage) -> None:
    await stage.add("a", delay=HOUR)
    await stage.cancel("a")
    await stage.age(2 * HOUR / 1000)

    assert await stage.claim() == []
    assert stage.status("a") == "canceled"
