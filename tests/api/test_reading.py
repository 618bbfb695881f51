"""Reading jobs: fetch, fetch_many, exists, refresh, and what each attribute shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aqueue import (
    DuplicateJobError,
    InvalidJobOperation,
    Job,
    JobStatus,
    NoSuchJobError,
    PayloadError,
    Queue,
    Retry,
    SettingsError,
    Worker,
)
from aqueue._redis.operations import Lookup
from tests.api import jobs
from tests.api.admin import calls_of
from tests.servers import Server


async def test_create_does_no_io_and_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUEUE_URL", "redis://127.0.0.1:1/0")

    job = Job.create(jobs.echo, (1,), {"x": 2}, id="mine")

    assert (job.id, job.status, job.origin, job.args, job.kwargs) == ("mine", "created", "", (1,), {"x": 2})
    assert job.created_at is not None
    assert (job.enqueued_at, job.result, job.meta) == (None, None, {})
    assert repr(job) == "<Job mine created: tests.api.jobs.echo>"


def test_created_jobs_have_ids_of_their_own() -> None:
    ids = [Job.create(jobs.nothing).id for _ in range(1_000)]

    assert len(set(ids)) == 1_000
    assert all(len(job_id) == 28 for job_id in ids)


async def test_a_saved_job_is_in_no_registry(queue: Queue) -> None:
    job = await Job.create(jobs.nothing, id="mine", origin="default", meta={"a": 1}).save()

    found = await Job.fetch("mine")
    assert (found.status, found.origin, found.meta, found.enqueued_at) == (
        JobStatus.CREATED,
        "default",
        {"a": 1},
        None,
    )
    assert await queue.count() == 0
    assert await job.get_position() is None
    await job.delete()
    assert not await Job.exists("mine")


async def test_a_job_is_saved_again_until_it_is_enqueued(queue: Queue) -> None:
    job = Job.create(jobs.nothing, id="mine", origin="one")
    await job.save()
    job.origin = "two"
    job.meta["a"] = 1
    await job.save()
    assert (await Job.fetch("mine")).meta == {"a": 1}
    assert (await Job.fetch("mine")).origin == "two"

    await queue.enqueue_job(job)

    assert job.origin == "default"
    with pytest.raises(InvalidJobOperation, match="cannot save job 'mine': it is queued"):
        await job.save()
    with pytest.raises(InvalidJobOperation, match="cannot move job 'mine': it is queued"):
        job.origin = "other"


async def test_an_origin_must_be_a_queue_name() -> None:
    with pytest.raises(SettingsError, match="queue name"):
        Job.create(jobs.nothing, origin="a b")
    with pytest.raises(SettingsError, match="queue name"):
        Job.create(jobs.nothing).origin = "a{b}"


async def test_a_draft_that_was_quarantined_cannot_be_enqueued_from_an_old_handle(queue: Queue) -> None:
    job = await Job.create(jobs.nothing, id="mine", origin="default").save()
    other = await Job.fetch("mine")
    await queue.enqueue_job(other)

    with pytest.raises(DuplicateJobError):
        await queue.enqueue_job(job)
    await other.cancel()
    await job.refresh()

    with pytest.raises(InvalidJobOperation, match="it is canceled"):
        await queue.enqueue_job(job)


async def test_fetch_names_the_id_that_is_missing(queue: Queue) -> None:
    with pytest.raises(NoSuchJobError, match="no job 'nobody'") as caught:
        await Job.fetch("nobody")

    assert caught.value.job_id == "nobody"
    assert not await Job.exists("nobody")
    assert await queue.fetch_job("nobody") is None


async def test_a_queue_fetches_only_its_own_jobs(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)

    assert await queue.fetch_job(job.id) == job
    assert await Queue("other").fetch_job(job.id) is None


@pytest.mark.more_rights("~{another.one}:*", "&{another.one}:*")
async def test_namespaces_do_not_see_each_other(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing, job_id="mine")
    other = Queue("default", namespace="another.one")
    await other.enqueue(jobs.say_hello, job_id="mine")

    assert (await Job.fetch("mine")).func == jobs.nothing
    assert (await Job.fetch("mine", namespace="another.one")).func == jobs.say_hello
    await other.delete()
    assert not await Job.exists("mine", namespace="another.one")
    assert await Job.exists(job.id)
    assert queue != other


async def test_fetch_many_takes_one_round_trip_per_thousand(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.echo, (n,)) for n in range(2_500))
    ids = [job.id for job in made]
    ids[10] = ids[2_000] = "nobody"
    before = calls_of(own_server, "mget")
    found = await Job.fetch_many(reversed(ids), connection=own_server.url)

    assert [None if job is None else job.args[0] for job in found] == [
        None if n in (10, 2_000) else n for n in reversed(range(2_500))
    ]
    assert calls_of(own_server, "mget") - before == 3
    assert await Job.fetch_many([], connection=own_server.url) == []
    await queue.aclose()


async def test_fetch_many_may_be_asked_for_one_id_twice(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)

    found = await Job.fetch_many([job.id, job.id])

    assert found == [job, job]


async def test_attributes_have_the_types_that_are_promised(queue: Queue) -> None:
    done = await queue.enqueue(jobs.say_hello, "you", meta={"a": 1}, ttl=1.5, retry=2, job_timeout=0.5)
    failed = await queue.enqueue(jobs.div_by_zero, 1)
    await Worker([queue], name="me").work(burst=True)
    now = datetime.now(UTC)

    for job in (await Job.fetch(done.id), await Job.fetch(failed.id)):
        assert isinstance(job.status, JobStatus)
        for instant in (job.created_at, job.enqueued_at, job.started_at, job.ended_at):
            assert instant is not None
            assert instant.tzinfo is UTC
            assert abs(instant - now) < timedelta(seconds=30)
        assert [type(value) for value in (job.id, job.origin, job.func_name, job.description)] == [str] * 4
        assert (type(job.args), type(job.kwargs), type(job.meta), job.worker_name) == (
            tuple,
            dict,
            dict,
            "me",
        )
        assert (job.result_ttl, type(job.result_ttl)) == (500, int)
    await done.refresh()
    assert (done.ttl, done.timeout, done.retries_left, done.priority) == (1.5, 0.5, 2, 0)


@pytest.mark.parametrize(
    ("status", "attribute"),
    [
        ("queued", "is_queued"),
        ("scheduled", "is_scheduled"),
        ("finished", "is_finished"),
        ("failed", "is_failed"),
        ("canceled", "is_canceled"),
    ],
)
async def test_one_is_attribute_tells_each_status(queue: Queue, status: str, attribute: str) -> None:
    function = jobs.div_by_zero if status == "failed" else jobs.echo
    if status == "scheduled":
        job = await queue.enqueue_in(60, function, 1)
    else:
        job = await queue.enqueue(function, 1)
    if status == "canceled":
        await job.cancel()
    elif status in ("finished", "failed"):
        await Worker([queue]).work(burst=True)
        await job.refresh()

    names = [name for name in dir(job) if name.startswith("is_")]
    assert len(names) == 9
    assert [name for name in names if getattr(job, name)] == [attribute]
    assert job.status == status == str(job.status)


async def test_reading_attributes_needs_no_loop_and_no_server() -> None:
    with Server(aof=False).limited() as server:
        queue = Queue(connection=server.url)
        job = await queue.enqueue(jobs.echo, 1, meta={"a": 1}, retry=Retry(max=2))
        await queue.aclose()

    names = {name for name in dir(Job) if isinstance(getattr(Job, name), property)}
    names.remove("state")  # belongs to the job that runs, see tests/worker/test_lifespan.py
    values = {name: getattr(job, name) for name in names}

    assert len(values) >= 30
    assert (values["args"], values["meta"], values["retries_left"]) == ((1,), {"a": 1}, 2)


async def test_equal_ids_mean_equal_jobs(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)

    assert await Job.fetch(job.id) == job
    assert {job, await Job.fetch(job.id)} == {job}
    assert job != job.id
    assert job != await queue.enqueue(jobs.nothing)


async def test_refresh_of_a_deleted_job_says_so(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)
    await job.delete()

    for call in (job.refresh, job.get_status, job.get_meta, job.results, job.cancel, job.requeue, job.delete):
        with pytest.raises(NoSuchJobError, match=f"no job '{job.id}'"):
            await call()
    assert await job.get_status(refresh=False) == "queued"


async def test_what_cannot_be_decoded_here_breaks_only_its_own_attribute(queue: Queue) -> None:
    job = await queue.enqueue(jobs.echo, 1)
    key = queue.space.keys.job(job.id)
    await queue.space.client.read(
        Lookup([("HSET", key, "data", b"\x80junk", "meta", b"\x80junk")], lambda replies: None)
    )

    found = await Job.fetch(job.id)

    assert (found.status, found.func_name) == ("queued", "tests.api.jobs.echo")
    assert found.description == "tests.api.jobs.echo(...)"
    with pytest.raises(PayloadError, match=f"the arguments of job '{job.id}' cannot be decoded"):
        _ = found.args
    with pytest.raises(PayloadError, match=f"the meta of job '{job.id}' cannot be decoded"):
        _ = found.meta


async def test_the_function_of_a_job_is_imported_when_it_is_asked_for(queue: Queue) -> None:
    job = await queue.enqueue("tests.api.jobs.Greeter.shout", "x")
    missing = await queue.enqueue("tests.api.nowhere.at_all")

    assert job.func("x") == "X"
    with pytest.raises(LookupError, match=r"tests\.api\.nowhere\.at_all"):
        _ = missing.func


async def test_a_description_is_the_call_unless_given(queue: Queue) -> None:
    long = await queue.enqueue(jobs.echo, "x" * 1_000, y=[1])
    given = await queue.enqueue(jobs.echo, description="y" * 2_000)

    assert len(long.description) < 200
    assert long.description.endswith("..., y=[1])")
    assert (await Job.fetch(given.id)).description == "y" * 1_000
