"""Many jobs canceled, stopped and deleted by their ids: a word for each."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import Job, Queue, SettingsError
from aqueue.bulk import cancel_jobs, delete_jobs, stop_jobs
from tests.support import claim


async def test_each_id_gets_a_word(queue: Queue) -> None:
    for job_id in ("running", "waiting", "canceled"):
        await queue.enqueue("m.f", job_id=job_id)
    await claim(queue.space, limit=1)
    await (await Job.fetch("canceled")).cancel()
    ids = ["waiting", "nobody", "running", "canceled", "waiting"]

    assert await stop_jobs(ids) == {
        "waiting": "queued", "nobody": "missing", "running": "asked", "canceled": "canceled"
    }  # fmt: skip
    assert await cancel_jobs(ids) == {
        "waiting": "ok", "nobody": "missing", "running": "asked", "canceled": "canceled"
    }  # fmt: skip
    assert await delete_jobs(ids) == {
        "waiting": "ok", "nobody": "missing", "running": "started", "canceled": "ok"
    }  # fmt: skip


async def test_more_than_a_call_takes_are_all_handled(queue: Queue) -> None:
    ids = [job.id for job in await queue.enqueue_many([Queue.prepare_data("m.f")] * 600)]

    assert set((await cancel_jobs(ids[:120])).values()) == {"ok"}
    assert set((await delete_jobs(ids)).values()) == {"ok"}
    assert await delete_jobs([]) == {}


@pytest.mark.parametrize("act", [cancel_jobs, stop_jobs, delete_jobs])
async def test_an_id_that_cannot_be_stops_it_before_anything_is_done(queue: Queue, act: Any) -> None:
    job = await queue.enqueue("m.f")

    with pytest.raises(SettingsError, match="job id"):
        await act([job.id, "no id"])

    assert await job.get_status() == "queued"
