"""Registries and queues as a whole: counting, listing, paging, removing, pausing, emptying."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aqueue import InvalidJobOperation, Job, NoSuchJobError, Queue, Worker
from aqueue._core.outcome import Canceled, Lease
from aqueue._redis import lookups, operations
from aqueue.registry import EndedJobRegistry, JobRegistry
from tests.api import jobs
from tests.api.admin import calls_of
from tests.servers import Server
from tests.support import age, claim


async def one_of_each(queue: Queue) -> dict[str, Job[Any]]:
    """A job in every status that has a registry but deferred and expired, by registry."""
    started = await queue.enqueue(jobs.nothing)
    await claim(queue.space)
    finished = await queue.enqueue(jobs.say_hello)
    failed = await queue.enqueue(jobs.div_by_zero, 1)
    await Worker([queue]).work(burst=True)
    canceled = await queue.enqueue(jobs.nothing)
    await canceled.cancel()
    expired = await queue.enqueue(jobs.nothing, ttl=0.001)
    await age(queue.space, seconds=0.01)
    await Worker([queue]).work(burst=True)
    return {
        "started": started,
        "finished": finished,
        "failed": failed,
        "canceled": canceled,
        "expired": expired,
        "scheduled": await queue.enqueue_in(60, jobs.nothing),
    }


def registries(queue: Queue) -> dict[str, JobRegistry]:
    kinds = ("started", "finished", "failed", "deferred", "scheduled", "canceled", "expired")
    return {kind: getattr(queue, f"{kind}_job_registry") for kind in kinds}


async def test_every_registry_lists_its_own_jobs_only(queue: Queue) -> None:
    made = await one_of_each(queue)

    for kind, registry in registries(queue).items():
        ids = [made[kind].id] if kind in made else []
        assert await registry.count() == len(ids)
        assert await registry.get_job_ids() == ids
        assert [job_id async for job_id in registry] == ids
        for other, job in made.items():
            assert await registry.contains(job) == await registry.contains(job.id) == (other == kind)
        assert not await registry.contains("nobody")
        assert repr(registry).startswith("<")


async def test_a_registry_is_of_one_queue(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)
    await job.cancel()
    other = Queue("other").canceled_job_registry

    assert (await other.count(), await other.contains(job)) == (0, False)
    with pytest.raises(InvalidJobOperation, match=f"'{job.id}': it is canceled in 'default'"):
        await other.requeue(job)


async def canceled_jobs(queue: Queue, count: int) -> list[str]:
    """Ids of jobs that lie in the failed registry in this order."""
    made = await queue.enqueue_many(
        Queue.prepare_data(jobs.nothing, job_id=f"j{n}", failure_ttl=1000 + n) for n in range(count)
    )
    for job in made:
        await job.cancel()
    return [job.id for job in made]


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, -1), (0, 0), (0, 4), (2, 5), (5, -1), (8, 100), (10, -1), (50, 60), (5, 2), (0, -2), (0, -10),
     (0, -11), (0, -50), (-3, -1), (-3, -2), (-50, 1), (-50, -50), (3, -4)],
)  # fmt: skip
async def test_pages_are_cut_as_lists_in_redis_are(queue: Queue, start: int, end: int) -> None:
    ids = await canceled_jobs(queue, 10)
    registry = queue.canceled_job_registry

    def page(listed: list[str]) -> list[str]:
        first = max(0, start + 10) if start < 0 else start
        last = end + 10 if end < 0 else end
        return listed[first : last + 1] if last >= 0 else []

    assert await registry.get_job_ids(start, end) == page(ids)
    assert await registry.get_job_ids(start, end, desc=True) == page(ids[::-1])


async def test_long_lists_come_in_pages_of_five_thousand(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(12_000))
    ids = [job.id for job in made]
    await queue.get_job_ids(0, 1)
    before = calls_of(own_server, "evalsha")

    assert await queue.get_job_ids() == ids

    assert calls_of(own_server, "evalsha") - before == 3
    assert await queue.get_job_ids(4_990, 20) == ids[4_990:5_010]
    assert await queue.get_job_ids(11_990) == ids[-10:]
    assert await queue.get_job_ids(20_000) == await queue.get_job_ids(0, 0) == []
    await queue.aclose()


async def test_the_ids_of_a_loop_are_those_of_its_beginning(queue: Queue) -> None:
    ids = await canceled_jobs(queue, 5)
    registry = queue.canceled_job_registry

    seen = [job_id async for job_id in registry if await registry.requeue(job_id)]

    assert seen == ids
    assert (await registry.count(), await queue.get_job_ids()) == (0, ids)


async def test_requeue_all_tells_how_many_and_how_far(queue: Queue) -> None:
    await canceled_jobs(queue, 250)
    steps: list[int] = []

    assert await queue.canceled_job_registry.requeue_all(progress=steps.append) == 250

    assert steps == [100, 100, 50]
    assert await queue.count() == 250
    assert await queue.canceled_job_registry.requeue_all() == 0


async def test_requeue_many_tells_what_became_of_each(queue: Queue) -> None:
    ids = await canceled_jobs(queue, 2)
    waiting = await queue.enqueue(jobs.nothing)

    words = await queue.canceled_job_registry.requeue_many([ids[0], "nobody", waiting.id, ids[1], ids[0]])

    assert (words[ids[1]], words["nobody"], words[waiting.id]) == ("ok", "missing", "queued")
    assert words[ids[0]] == "ok"
    assert await queue.count() == 3


async def test_a_registry_requeues_only_its_own(queue: Queue) -> None:
    made = await one_of_each(queue)

    for kind, registry in registries(queue).items():
        if not isinstance(registry, EndedJobRegistry):
            continue
        for other, job in made.items():
            if other != kind:
                with pytest.raises(InvalidJobOperation, match=f"cannot requeue from the {kind} registry"):
                    await registry.requeue(job)
        with pytest.raises(NoSuchJobError, match="nobody"):
            await registry.requeue("nobody")


async def test_remove_deletes_the_record_too(queue: Queue, stored: Any) -> None:
    made = await one_of_each(queue)
    for kind in ("finished", "failed", "canceled", "expired", "scheduled"):
        registry, job = registries(queue)[kind], made[kind]
        for other in ("finished", "failed", "canceled", "expired", "scheduled"):
            if other != kind:
                with pytest.raises(InvalidJobOperation, match=f"remove from the {other} registry"):
                    await registries(queue)[other].remove(job)

        await registry.remove(job if kind == "failed" else job.id, delete_job=False)

        assert await registry.count() == 0
        assert not any(job.id in key for key in stored())
        with pytest.raises(NoSuchJobError):
            await registry.remove(job)
    with pytest.raises(InvalidJobOperation, match="it is started"):
        await queue.started_job_registry.remove(made["started"])


async def test_remove_leaves_the_job_of_another_queue_alone(queue: Queue) -> None:
    await canceled_jobs(queue, 1)

    with pytest.raises(InvalidJobOperation, match="it is canceled in 'default'"):
        await Queue("other").canceled_job_registry.remove("j0")

    assert await Job.exists("j0")


async def test_registries_tell_when_their_jobs_leave(queue: Queue) -> None:
    made = await one_of_each(queue)
    now = datetime.now(UTC)
    kept = {"finished": 500, "failed": 365 * 86_400, "canceled": 86_400, "expired": 86_400}

    for kind, seconds in kept.items():
        registry = registries(queue)[kind]
        assert isinstance(registry, EndedJobRegistry)
        leaves = await registry.get_expiration_time(made[kind])
        assert leaves is not None
        assert abs(leaves - now - timedelta(seconds=seconds)) < timedelta(seconds=30)
        with pytest.raises(NoSuchJobError, match=f"job '{made['started'].id}' is not in the {kind} registry"):
            await registry.get_expiration_time(made["started"].id)
    due = await queue.scheduled_job_registry.get_scheduled_time(made["scheduled"])
    assert abs(due - now - timedelta(seconds=60)) < timedelta(seconds=30)
    with pytest.raises(NoSuchJobError, match="is not scheduled in queue 'default'"):
        await queue.scheduled_job_registry.get_scheduled_time(made["failed"])


async def test_registries_leave_out_what_is_past_its_time_without_a_worker(queue: Queue) -> None:
    await one_of_each(queue)
    await age(queue.space, seconds=600)

    assert await queue.finished_job_registry.count() == 0
    assert await queue.finished_job_registry.get_job_ids() == []
    await age(queue.space, seconds=86_400)
    assert await queue.canceled_job_registry.get_job_ids() == []
    assert await queue.failed_job_registry.count() == 1
    await age(queue.space, seconds=365 * 86_400)
    assert await queue.failed_job_registry.count() == 0


async def test_a_job_past_its_time_is_in_no_registry(queue: Queue) -> None:
    made = await one_of_each(queue)
    await age(queue.space, seconds=600)

    assert not await queue.finished_job_registry.contains(made["finished"])


async def test_a_paused_queue_takes_jobs_and_starts_none(queue: Queue) -> None:
    await queue.pause()
    job = await queue.enqueue(jobs.say_hello)
    assert await queue.is_paused()
    assert not await Worker([queue]).work(burst=True)
    assert await queue.count() == 1

    await queue.resume()

    assert not await queue.is_paused()
    assert not await Queue("other").is_paused()
    assert await Worker([queue]).work(burst=True)
    assert await job.wait(5) == "Hi there, Stranger!"


async def test_a_queue_counts_and_lists_what_waits(queue: Queue) -> None:
    assert await queue.is_empty()
    made = await queue.enqueue_many(Queue.prepare_data(jobs.echo, (n,)) for n in range(5))

    assert (await queue.count(), await queue.is_empty()) == (5, False)
    assert await queue.get_job_ids(1, 2) == [job.id for job in made[1:3]]
    assert [job.args for job in await queue.get_jobs(3)] == [(3,), (4,)]
    assert repr(queue) == "<Queue default>"
    assert queue == Queue("default")
    assert len({queue, Queue("default"), Queue("other")}) == 2


async def test_all_names_every_queue_that_had_jobs(queue: Queue, url: str) -> None:
    assert await Queue.all() == []
    for name in ("b", "a", "c"):
        await Queue(name).enqueue(jobs.nothing)
    await Queue("d").enqueue_in(60, jobs.nothing)

    assert [found.name for found in await Queue.all(url)] == ["a", "b", "c", "d"]
    assert await (await Queue.all())[0].count() == 1


async def test_empty_deletes_what_waits_and_nothing_else(queue: Queue) -> None:
    made = await one_of_each(queue)
    await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(1_100))
    steps: list[int] = []

    assert await queue.empty(progress=steps.append) == 1_100

    assert steps == [500, 500, 100]
    assert (await queue.count(), await queue.empty()) == (0, 0)
    assert all([await Job.exists(job.id) for job in made.values()])


async def test_a_queue_is_deleted_with_all_its_jobs(queue: Queue, stored: Any) -> None:
    made = await one_of_each(queue)
    with pytest.raises(InvalidJobOperation, match=f"job '{made['started'].id}': it is started"):
        await queue.delete()
    await age(queue.space, seconds=60)  # its worker is gone
    other = Queue("other")
    await other.enqueue(jobs.nothing)
    with pytest.raises(InvalidJobOperation):
        await queue.delete()
    await end(queue)

    with pytest.raises(InvalidJobOperation, match="delete_jobs=False"):
        await queue.delete(delete_jobs=False)
    await queue.delete()

    assert [found.name for found in await Queue.all()] == ["other"]
    assert [key for key in stored() if key.endswith(":default")] == []
    await queue.delete()


async def end(queue: Queue) -> None:
    """Cancel what is claimed, as its worker would."""
    for job_id in await queue.started_job_registry.get_job_ids():
        [found] = await queue.space.client.read(lookups.snapshots(queue.space.keys, [job_id]))
        assert found is not None
        lease = Lease(found.record, found.record.token)
        await queue.space.client.run(operations.settle(queue.space.keys, [(lease, Canceled())]))


async def test_a_queue_without_jobs_is_deleted_also_without_its_jobs(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)
    await job.delete()
    assert [found.name for found in await Queue.all()] == ["default"]

    await queue.delete(delete_jobs=False)

    assert await Queue.all() == []


async def test_a_queue_is_deleted_also_with_jobs_that_are_past_their_time(queue: Queue, stored: Any) -> None:
    await queue.enqueue(jobs.nothing, ttl=5)
    job = await queue.enqueue(jobs.nothing)
    await job.cancel()
    await age(queue.space, seconds=100_000)
    assert (await queue.count(), await queue.canceled_job_registry.count()) == (0, 0)

    await queue.delete()

    assert [key for key in stored() if not key.startswith("reply:")] == []
