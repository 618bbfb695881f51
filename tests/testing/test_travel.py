"""`time_travel`: what gets older, what does not, and who notices."""

from __future__ import annotations

import pytest

from aqueue import Job, Queue, SettingsError, Worker
from aqueue._redis import lookups
from aqueue.testing import run_burst, time_travel
from tests.api.admin import admin
from tests.servers import Server
from tests.support import claim
from tests.tasks import add, div_by_zero

pytestmark = pytest.mark.more_rights("+pexpiretime")  # as docs/testing.md says


async def test_scheduled_jobs_become_due(queue: Queue) -> None:
    near = await queue.enqueue_in("2h", add, 1, 2)
    far = await queue.enqueue_in("3h", add, 1, 2)
    await time_travel(queue, "2h")

    assert [await near.get_status(), await far.get_status()] == ["queued", "scheduled"]
    assert await queue.get_job_ids() == [near.id]
    await time_travel(queue, "1h")
    assert await far.get_status() == "queued"


async def test_it_adds_up_to_the_millisecond(queue: Queue) -> None:
    job = await queue.enqueue_in(3600, add, 1, 2)
    for _ in range(4):
        await time_travel(queue, 899)
    assert await job.get_status() == "scheduled"
    await time_travel(queue, 4)

    assert await job.get_status() == "queued"


async def test_more_than_a_call_s_worth_is_queued_in_order(queue: Queue) -> None:
    jobs = [await queue.enqueue_in(3600 + n, add, 1, n) for n in range(120)]
    await time_travel(queue, "2h")

    assert await queue.get_job_ids() == [job.id for job in jobs]


async def test_waiting_jobs_expire(queue: Queue) -> None:
    job = await queue.enqueue(add, 1, 2, ttl="1h")
    await time_travel(queue, "59m")
    assert await job.get_status() == "queued"
    await time_travel(queue, "1m")

    assert await job.get_status() == "expired"
    assert await queue.count() == 0


async def test_a_scheduled_job_s_ttl_runs_from_its_due_time(queue: Queue) -> None:
    job = await queue.enqueue_in("1h", add, 1, 2, ttl="1h")
    await time_travel(queue, "90m")
    assert await job.get_status() == "queued"
    await time_travel(queue, "31m")

    assert await job.get_status() == "expired"


async def test_results_and_records_go(queue: Queue) -> None:
    job = await queue.enqueue(add, 1, 2, result_ttl="1h")
    await run_burst(queue)
    await time_travel(queue, "59m")
    assert await job.return_value() == 3
    await time_travel(queue, "1m")

    assert not await Job.exists(job.id)
    assert await queue.finished_job_registry.count() == 0


async def test_failed_jobs_go_after_their_time_and_kept_ones_stay(queue: Queue) -> None:
    short = await queue.enqueue(div_by_zero, 1, failure_ttl="1h")
    kept = await queue.enqueue(div_by_zero, 1, failure_ttl=-1)
    await run_burst(queue, raise_on_failure=False)
    await time_travel(queue, "10000d")

    assert [await Job.exists(short.id), await Job.exists(kept.id)] == [False, True]
    assert await queue.failed_job_registry.get_job_ids() == [kept.id]


async def test_the_keys_own_ttl_is_aged_too(queue: Queue, server: Server) -> None:
    job = await queue.enqueue(add, 1, 2, result_ttl="1h")
    await run_burst(queue)
    await time_travel(queue, "30m")

    with admin(server) as client:
        assert 29 * 60_000 < client.pttl(queue.space.keys.result(job.id)) <= 30 * 60_000


async def test_time_passes_in_all_queues_of_the_namespace(queue: Queue) -> None:
    job = await Queue("other").enqueue_in("2h", add, 1, 2)
    await time_travel(queue, "2h")

    assert await job.get_status() == "queued"


async def test_leases_are_kept(queue: Queue) -> None:
    job = await queue.enqueue(add, 1, 2)
    await claim(queue.space)
    before = await deadline(queue, job)
    await time_travel(queue, "2h")

    assert await deadline(queue, job) == before


async def deadline(queue: Queue, job: Job[int]) -> float | None:
    space = queue.space
    return await space.client.read(lookups.score(space.keys, "started", queue.name, job.id))


async def test_a_paused_queue_stays_paused(queue: Queue) -> None:
    await queue.enqueue_in("1h", add, 1, 2)
    await queue.pause()
    await time_travel(queue, "2h")

    assert await queue.is_paused()
    assert (await run_burst(queue)).finished == 0


async def test_a_waiting_worker_notices(queue: Queue) -> None:
    async with Worker(queue).running():
        job = await queue.enqueue_in("2h", add, 1, 2)
        await time_travel(queue, "2h")

        assert await job.wait(timeout=10) == 3


async def test_an_empty_namespace_is_no_trouble(queue: Queue) -> None:
    await time_travel(queue, "2h")


@pytest.mark.parametrize("duration", [0, -1, "soon"])
async def test_what_is_no_time_is_refused(queue: Queue, duration: int | str) -> None:
    with pytest.raises(SettingsError, match="duration="):
        await time_travel(queue, duration)
