"""Producers whose network fails them: no job is lost that was promised, and none is there twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aqueue import DuplicateJobError, EnqueueUncertain, Job, Queue, QueueUnavailable
from aqueue._redis.scripts import load
from tests.api import jobs
from tests.api.proxy import Proxy
from tests.support import wait_until

#: Only the enqueue script's calls contain this.
ENQUEUE = load("enqueue").sha.encode()


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[Proxy]:
    async with Proxy(url) as running:
        yield running


@pytest.fixture
async def far(proxy: Proxy, queue: Queue) -> AsyncIterator[Queue]:
    """The queue, seen through the proxy; its scripts are loaded."""
    await queue.enqueue(jobs.nothing, job_id="first")
    async with Queue("default", connection=proxy.url) as through:
        assert await through.count() == 1
        yield through
    await queue.aclose()


@pytest.mark.parametrize("action", ["cut before", "cut after"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_cut_connection_enqueues_a_job_exactly_once(
    far: Queue, proxy: Proxy, action: Any, times: int
) -> None:
    rule = proxy.on(ENQUEUE, action, times=times)

    job = await far.enqueue(jobs.nothing, job_id="mine")

    assert rule.met == times
    assert job.status == "queued"
    assert await far.get_job_ids() == ["first", "mine"]


async def test_a_swallowed_reply_enqueues_a_job_exactly_once(hurry: None, far: Queue, proxy: Proxy) -> None:
    rule = proxy.on(ENQUEUE, "swallow")

    await far.enqueue(jobs.nothing, job_id="mine")

    assert rule.met == 1
    assert await far.get_job_ids() == ["first", "mine"]


async def test_a_slow_network_enqueues_a_job_exactly_once(hurry: None, far: Queue, proxy: Proxy) -> None:
    rule = proxy.on(ENQUEUE, "delay", seconds=0.3)

    await far.enqueue(jobs.nothing, job_id="mine")
    await wait_until(lambda: rule.passed, description="the late one has arrived")

    assert await far.get_job_ids() == ["first", "mine"]


async def test_jobs_enqueued_together_are_each_in_once_after_a_lost_reply(far: Queue, proxy: Proxy) -> None:
    proxy.on(ENQUEUE, "cut after", times=2)

    made = await asyncio.gather(*(far.enqueue(jobs.nothing) for _ in range(250)))

    assert await far.get_job_ids() == ["first", *(job.id for job in made)]


@pytest.mark.parametrize("action", ["cut after", "swallow"])
async def test_an_unknown_outcome_is_uncertain_and_retry_settles_it(
    hurry: None, far: Queue, proxy: Proxy, action: Any
) -> None:
    proxy.on(ENQUEUE, action, times=float("inf"))

    with pytest.raises(EnqueueUncertain, match="not known whether job 'mine' was enqueued") as caught:
        await far.enqueue(jobs.nothing, job_id="mine", meta={"a": 1})
    with pytest.raises(EnqueueUncertain) as again:
        await caught.value.retry()
    proxy.clear()
    job = await again.value.retry()

    assert isinstance(job, Job)
    assert (job.id, job.status, job.meta) == ("mine", "queued", {"a": 1})
    assert (await caught.value.retry()).id == "mine"
    assert await far.get_job_ids() == ["first", "mine"]


async def test_by_hand_a_duplicate_means_that_it_had_landed(hurry: None, far: Queue, proxy: Proxy) -> None:
    proxy.on(ENQUEUE, "swallow", times=float("inf"))
    with pytest.raises(EnqueueUncertain):
        await far.enqueue(jobs.nothing, job_id="mine")
    proxy.clear()

    with pytest.raises(DuplicateJobError, match="job 'mine' exists already and is queued"):
        await far.enqueue(jobs.nothing, job_id="mine")


async def test_retry_stores_a_job_that_had_not_landed(hurry: None, far: Queue, proxy: Proxy) -> None:
    proxy.on(ENQUEUE, "cut before", times=float("inf"))
    with pytest.raises(EnqueueUncertain) as caught:
        await far.enqueue(jobs.nothing, job_id="mine")
    assert await far.get_job_ids() == ["first"]
    proxy.clear()

    await caught.value.retry()

    assert await far.get_job_ids() == ["first", "mine"]


async def test_each_of_the_jobs_that_shared_a_call_is_uncertain_on_its_own(
    hurry: None, far: Queue, proxy: Proxy
) -> None:
    proxy.on(ENQUEUE, "swallow", times=float("inf"))
    ids = [f"j{number}" for number in range(20)]
    errors = await asyncio.gather(
        *(far.enqueue(jobs.nothing, job_id=job_id) for job_id in ids), return_exceptions=True
    )
    proxy.clear()

    uncertain = [error for error in errors if isinstance(error, EnqueueUncertain)]
    assert [error.job_id for error in uncertain] == ids
    assert len({id(error) for error in uncertain}) == 20
    made = await asyncio.gather(*(error.retry() for error in uncertain))
    assert [job.id for job in made] == ids
    assert sorted(await far.get_job_ids()) == sorted(["first", *ids])


@pytest.mark.parametrize("action", ["cut before", "cut after"])
async def test_enqueue_many_is_in_exactly_once_after_a_cut(far: Queue, proxy: Proxy, action: Any) -> None:
    proxy.on(ENQUEUE, action, times=2)

    made = await far.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(250))

    assert await far.get_job_ids() == ["first", *(job.id for job in made)]


@pytest.mark.parametrize("action", ["cut before", "cut after"])
async def test_enqueue_many_keeps_the_order_after_a_cut(far: Queue, proxy: Proxy, action: Any) -> None:
    await far.enqueue(jobs.nothing, job_id="second")  # from now on several calls are on their way at once
    proxy.on(ENQUEUE, action)

    made = await far.enqueue_many([Queue.prepare_data(jobs.nothing)] * 600)

    assert await far.get_job_ids() == ["first", "second", *(job.id for job in made)]


async def test_enqueue_many_names_what_is_in_when_the_outcome_is_unknown(
    hurry: None, far: Queue, proxy: Proxy
) -> None:
    calls = 0

    def count(chunk: bytes) -> None:
        nonlocal calls
        calls += ENQUEUE in chunk
        if calls == 2:
            proxy.on(ENQUEUE, "cut after", times=float("inf"))

    proxy.heard = count
    ids = [f"j{number}" for number in range(250)]
    with pytest.raises(EnqueueUncertain) as caught:
        await far.enqueue_many(Queue.prepare_data(jobs.nothing, job_id=job_id) for job_id in ids)
    proxy.heard = None
    proxy.clear()

    assert (list(caught.value.enqueued), list(caught.value.not_enqueued)) == (ids[:100], ids[100:])
    made = await caught.value.retry()
    assert [job.id for job in made] == ids
    assert await far.get_job_ids() == ["first", *ids]


async def test_enqueue_job_and_save_survive_a_lost_reply(far: Queue, proxy: Proxy) -> None:
    proxy.on(ENQUEUE, "cut after")
    saved = await Job.create(jobs.nothing, id="saved", connection=proxy.url).save()
    proxy.on(ENQUEUE, "cut after")
    await far.enqueue_job(saved)

    assert (saved.status, await far.get_job_ids()) == ("queued", ["first", "saved"])


async def test_a_save_of_unknown_outcome_is_simply_repeated(hurry: None, far: Queue, proxy: Proxy) -> None:
    proxy.on(ENQUEUE, "swallow", times=float("inf"))
    job = Job.create(jobs.nothing, id="saved", connection=proxy.url)
    with pytest.raises(QueueUnavailable) as caught:
        await job.save()
    assert caught.value.uncertain
    proxy.clear()

    await job.save()

    assert (await Job.fetch("saved")).status == "created"


@pytest.mark.parametrize("verb", ["cancel", "requeue", "delete", "save_meta"])
async def test_a_verb_whose_reply_is_lost_gives_the_same_answer_again(
    far: Queue, proxy: Proxy, verb: str
) -> None:
    job = await Job.fetch("first", connection=proxy.url)
    if verb == "requeue":
        await job.cancel()
    script = load("amend" if verb == "save_meta" else verb).sha.encode()
    first = proxy.on(script, "cut after")
    job.meta["a"] = 1

    await getattr(job, verb)()

    assert first.met == 1
    found = await Job.exists("first", connection=proxy.url) and await Job.fetch("first", connection=proxy.url)
    assert (found and found.status) == {"cancel": "canceled", "delete": False}.get(verb, "queued")


async def test_registry_verbs_survive_a_lost_reply(far: Queue, proxy: Proxy) -> None:
    job = await Job.fetch("first", connection=proxy.url)
    await job.cancel()
    proxy.on(load("requeue").sha.encode(), "cut after")
    assert await far.canceled_job_registry.requeue_all() == 1
    await job.cancel()
    proxy.on(load("delete").sha.encode(), "cut after")
    await far.canceled_job_registry.remove(job)

    assert not await Job.exists("first", connection=proxy.url)
