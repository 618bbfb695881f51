"""Meta: the user's own data on a job."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import Job, NoSuchJobError, PayloadError, Queue, SettingsError, Worker
from aqueue._redis import operations
from aqueue._redis.operations import Lookup
from tests.api import jobs
from tests.api.admin import admin
from tests.servers import Server
from tests.support import age, wait_until


async def test_the_last_writer_of_meta_wins_with_the_whole_of_it(queue: Queue) -> None:
    one = await queue.enqueue(jobs.nothing, meta={"a": 1})
    two = await Job.fetch(one.id)
    one.meta["b"] = 2
    two.meta = {"c": 3}

    await one.save_meta()
    assert await two.get_meta(refresh=False) == {"c": 3}
    await two.save_meta()

    assert (await Job.fetch(one.id)).meta == {"c": 3}
    assert one.meta == {"a": 1, "b": 2}
    assert await one.get_meta() == {"c": 3}


async def test_meta_is_written_on_jobs_in_any_status(queue: Queue) -> None:
    saved = await Job.create(jobs.nothing).save()
    scheduled = await queue.enqueue_in(60, jobs.nothing)
    finished = await queue.enqueue(jobs.say_hello)
    failed = await queue.enqueue(jobs.div_by_zero, 1)
    await Worker([queue]).work(burst=True)
    canceled = await queue.enqueue(jobs.nothing)
    await canceled.cancel()

    for job in (saved, scheduled, finished, failed, canceled):
        job.meta["note"] = job.id
        await job.save_meta()
        assert (await Job.fetch(job.id)).meta == {"note": job.id}
    await finished.refresh()
    assert (finished.status, finished.result) == ("finished", "Hi there, Stranger!")


async def test_saving_meta_never_brings_a_job_back(queue: Queue, stored: Any) -> None:
    deleted = await queue.enqueue(jobs.nothing)
    await deleted.delete()
    forgotten = await queue.enqueue(jobs.nothing, result_ttl=0)
    await Worker([queue]).work(burst=True)

    for job in (deleted, forgotten):
        job.meta["a"] = 1
        with pytest.raises(NoSuchJobError, match=job.id):
            await job.save_meta()
        assert not await Job.exists(job.id)
    assert f"job:{deleted.id}" not in stored()


async def test_saving_meta_does_not_make_an_ended_job_live_longer(queue: Queue, server: Server) -> None:
    job = await queue.enqueue(jobs.say_hello)
    await Worker([queue]).work(burst=True)
    before = await queue.finished_job_registry.get_expiration_time(job)
    job.meta["a"] = 1
    await job.save_meta()

    assert await queue.finished_job_registry.get_expiration_time(job) == before
    with admin(server) as client:
        assert 0 < client.pttl(queue.space.keys.job(job.id)) <= (500 + 86_400) * 1000


async def test_a_job_that_lost_its_lease_can_write_no_meta(queue: Queue) -> None:
    jobs.refused.clear()
    job = await queue.enqueue(jobs.write_when_told_to_end)
    async with Worker([queue], lease=1, grace=0).running():
        await wait_until(lambda: _has_begun(job))
        await queue.pause()  # nobody claims it again, so that its meta stays
        await wait_until(lambda: _is_taken_away(queue, job))
        await wait_until(lambda: job.id in jobs.refused, description="refused")

    await job.refresh()
    assert (job.status, job.meta) == ("queued", {"begun": True})


async def _is_taken_away(queue: Queue, job: Job[Any]) -> bool:
    """As if its worker had been silent for a minute; a beat may come in between."""
    keys = queue.space.keys
    await queue.space.client.read(Lookup([("DEL", keys.hold)], lambda replies: None))
    await age(queue.space, seconds=60)
    await queue.space.client.run(operations.recover(keys, [queue.name], lease_ms=30_000))
    return await job.get_status() == "queued"


async def _has_begun(job: Job[Any]) -> bool:
    return bool((await job.get_meta()).get("begun"))


@pytest.mark.parametrize("bad", [[1], "text", 5])
async def test_meta_must_be_a_dictionary(queue: Queue, bad: Any) -> None:
    job = await queue.enqueue(jobs.nothing, meta={"a": 1})
    job.meta = bad

    with pytest.raises(SettingsError, match="meta must be a dictionary"):
        await job.save_meta()

    assert (await Job.fetch(job.id)).meta == {"a": 1}


async def test_meta_that_cannot_be_encoded_is_refused_and_the_old_one_stays(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing, meta={"a": 1})
    job.meta["b"] = jobs.Unpicklable()

    with pytest.raises(PayloadError, match=r"the meta of tests\.api\.jobs\.nothing cannot be encoded"):
        await job.save_meta()

    assert await job.get_meta() == {"a": 1}


async def test_an_emptied_meta_reads_as_empty(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing, meta={"a": 1})
    job.meta.clear()
    await job.save_meta()

    assert (await Job.fetch(job.id)).meta == {}
