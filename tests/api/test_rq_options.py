"""What RQ has and aqueue does not have yet is said, and nothing goes silently to the function."""

from __future__ import annotations

import pytest

from aqueue import InvalidJobOperation, NoSuchJobError, Queue, SettingsError, Worker
from aqueue.draft import RQ_OPTIONS
from aqueue.sync import get_current_job as get_sync_job
from tests import tasks
from tests.api import jobs


@pytest.mark.parametrize("name", sorted(RQ_OPTIONS))
async def test_an_option_of_rq_that_is_not_supported_is_refused(queue: Queue, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is not supported yet.*queue\.options\(\)"):
        await queue.enqueue(tasks.add, 1, 2, **{name: "x"})

    assert await queue.is_empty()


async def test_an_argument_of_such_a_name_goes_to_the_function_through_options(queue: Queue) -> None:
    job = await queue.options().enqueue(jobs.echo, repeat=3)

    assert job.kwargs == {"repeat": 3}


async def test_remove_takes_only_jobs_that_wait_in_this_queue(queue: Queue, url: str) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)

    with pytest.raises(NoSuchJobError, match="in queue 'other'"):
        await Queue("other", url).remove(job)
    await queue.remove(job)

    with pytest.raises(InvalidJobOperation, match=r"remove from queue 'default' .*canceled"):
        await queue.remove(job)


async def test_a_queue_with_jobs_is_deleted_only_with_them(queue: Queue) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)

    with pytest.raises(InvalidJobOperation, match="delete_jobs=False") as caught:
        await queue.delete(delete_jobs=False)

    assert caught.value.job_id == job.id
    assert await queue.count() == 1
    await queue.delete()
    assert await Queue.all() == []


async def test_both_current_jobs_of_a_plain_function_share_their_meta(queue: Queue) -> None:
    job = await queue.enqueue(jobs.mixed_meta)

    await Worker([queue]).work(burst=True)

    await job.refresh()
    assert job.meta == {"first": 1, "second": 2}


def test_outside_a_job_there_is_none() -> None:
    assert get_sync_job() is None
