"""amend: another meta, and nothing else."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Lease
from aqueue._core.status import JobStatus
from aqueue._redis import operations
from aqueue.errors import LeaseLost, NoSuchJobError
from tests.transitions.stage import Stage


async def _amend(stage: Stage, lease: Lease | None = None, job_id: str = "a") -> None:
    await stage.run(operations.amend(stage.keys, job_id, b"new", token=lease.token if lease else ""))


@pytest.mark.parametrize("status", list(JobStatus))
async def test_meta_can_be_written_in_any_status_and_touches_nothing_else(
    stage: Stage, status: JobStatus
) -> None:
    await stage.make(status)
    before, fields = stage.digest("job:a"), dict(stage.job("a").fields)
    ttl = stage.ttl(stage.keys.job("a"))
    await _amend(stage)

    assert stage.digest("job:a") == before
    assert stage.job("a").fields == fields | {b"meta": b"new"}
    assert ttl - 5000 < stage.ttl(stage.keys.job("a")) <= ttl


async def test_a_record_that_is_gone_is_not_brought_back(stage: Stage) -> None:
    await stage.finished("tombstone", result_ttl=0)
    before = stage.digest()

    for job_id in ("unknown", "tombstone"):
        with pytest.raises(NoSuchJobError, match=job_id):
            await _amend(stage, job_id=job_id)
    assert stage.digest() == before


async def test_the_job_itself_writes_while_its_lease_holds(stage: Stage) -> None:
    await _amend(stage, await stage.start("a"))

    assert stage.job("a").meta == b"new"


async def test_the_job_itself_writes_no_more_once_another_execution_owns_it(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.lose()
    await stage.claim()
    before = stage.digest()

    with pytest.raises(LeaseLost, match="'a'"):
        await _amend(stage, lease)
    assert stage.digest() == before


async def test_the_job_itself_writes_no_more_after_its_end(stage: Stage) -> None:
    lease = await stage.finished("a")
    before = stage.digest()

    with pytest.raises(LeaseLost, match="'a'"):
        await _amend(stage, lease)
    assert stage.digest() == before
