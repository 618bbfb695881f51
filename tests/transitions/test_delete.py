"""delete: no record any more."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Retried
from aqueue._core.status import JobStatus
from tests.transitions.stage import BOOM, Stage, new_job

DELETABLE = [status for status in JobStatus if status != "started"]


@pytest.mark.parametrize("status", DELETABLE)
async def test_a_job_that_does_not_run_leaves_nothing_behind(stage: Stage, status: JobStatus) -> None:
    await stage.make(status)
    hear = stage.listen(stage.keys.done_channel("a"))

    assert await stage.delete("a") == ["ok"]
    assert stage.where("a") == []
    assert stage.score("expiring", "a") is None
    assert stage.db.exists(stage.keys.job("a"), stage.keys.result("a")) == 0
    assert hear() == "deleted"


async def test_its_history_goes_too(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.settle(lease, Retried(BOOM, 0))
    await stage.delete("a")

    assert stage.db.exists(stage.keys.history("a")) == 0


async def test_a_running_job_is_refused(stage: Stage) -> None:
    await stage.start("a")
    before = stage.digest()

    assert await stage.delete("a") == ["started"]
    assert stage.digest("reply:*") == before


async def test_an_unknown_id_and_a_tombstone_are_missing(stage: Stage) -> None:
    await stage.finished("gone", result_ttl=0)
    before = stage.digest()

    assert await stage.delete("gone", "unknown") == ["missing", "missing"]
    assert stage.digest("reply:*") == before


async def test_ids_are_judged_each_on_its_own(stage: Stage) -> None:
    await stage.start("running")
    await stage.add("a", "b")

    assert await stage.delete("a", "running", "unknown", "b", "a") == [
        "ok",
        "started",
        "missing",
        "ok",
        "missing",
    ]
    assert (stage.ids("queue"), stage.ids("started")) == ([], ["running"])


async def test_only_what_lies_in_the_given_registry_goes(stage: Stage) -> None:
    await stage.failed("failed")
    await stage.make(JobStatus.STOPPED, "stopped")
    await stage.add("queued")

    assert await stage.delete("failed", "stopped", "queued", registry="failed") == ["ok", "ok", "queued"]
    assert (stage.ids("failed"), stage.ids("queue")) == ([], ["queued"])


async def test_a_job_requeued_meanwhile_is_not_deleted_from_the_failed_ones(stage: Stage) -> None:
    await stage.failed("a")
    await stage.requeue("a")

    assert await stage.delete("a", registry="failed") == ["queued"]
    assert stage.where("a") == ["queue"]


async def test_five_hundred_jobs_go_in_one_call(stage: Stage) -> None:
    for start in range(5):
        await stage.enqueue(*(new_job(f"j{start}-{n}", ttl=60_000) for n in range(100)))

    assert await stage.delete(*stage.ids("queue")) == ["ok"] * 500
    assert set(stage.digest("reply:*")) == {"meta:default", "queues", "wake:default"}
