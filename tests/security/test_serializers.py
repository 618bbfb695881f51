"""S03: the worker has one serializer, and never guesses another from what it finds."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from aqueue import Job, JsonSerializer, PayloadError, Queue, SettingsError, Worker
from aqueue._core.serializers import JSON, PICKLE
from tests.security import jobs
from tests.security.gadgets import gadgets
from tests.worker.hands import burst, last_line, working

MINE = JsonSerializer()


async def test_jobs_results_and_meta_travel_as_json(url: str, db: Any) -> None:
    queue = Queue("default", url, serializer="json")
    value = {
        "at": datetime(2026, 1, 31, tzinfo=UTC),
        "id": UUID(int=5),
        "pair": (1, b"x"),
        "plain": [1, None],
    }
    job = await queue.enqueue(jobs.echo, value, meta={"seen": {1, 2}})
    await burst(queue)

    assert await job.wait(timeout=5) == value
    assert job.meta == {"seen": {1, 2}}
    assert job.description.startswith("tests.security.jobs.echo({'at': datetime")
    stored = db.hget(queue.space.keys.job(job.id), "data")
    assert stored.startswith(b'[{"at":{"$datetime":"2026-01-31T00:00:00+00:00"}')
    assert (await Job.fetch(job.id, serializer="json")).result == value


async def test_what_json_cannot_hold_is_refused_where_it_is_made(url: str) -> None:
    queue = Queue("default", url, serializer="json")
    with pytest.raises(
        PayloadError, match=r"the arguments of .*echo cannot be encoded: TypeError: builtins\.object"
    ):
        await queue.enqueue(jobs.echo, object())
    with pytest.raises(PayloadError, match=r"cannot be encoded: ValueError: JSON has no nan"):
        await queue.enqueue(jobs.echo, float("nan"))
    job = await queue.enqueue(jobs.unwritable, retry=1)

    await burst(queue)

    assert "PayloadError: the result of job" in await last_line(job)
    assert "has no form in JSON" in await last_line(job)


@pytest.mark.parametrize(("producer", "worker"), [("pickle", "json"), ("json", "pickle")])
async def test_a_worker_with_another_serializer_says_which_one_it_has(
    url: str, producer: str, worker: str
) -> None:
    job = await Queue("default", url, serializer=producer).enqueue(jobs.forged, 1, retry=3)

    await burst(Queue("default", url, serializer=worker))

    line = await last_line(job)
    assert "PayloadError: the arguments of job" in line
    assert f"this program has the {worker} serializer" in line
    assert "AQUEUE_SERIALIZER" in line
    assert job.retries_left == 3


async def test_gadgets_never_run_with_json(url: str, db: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    queue = Queue("default", url, serializer="json")
    made = [await queue.enqueue(jobs.forged, 1) for _ in gadgets(canary)]
    for job, gadget in zip(made, gadgets(canary), strict=True):
        db.hset(queue.space.keys.job(job.id), mapping={"data": gadget, "meta": gadget})
    await burst(queue)
    for job, gadget in zip(made, gadgets(canary), strict=True):
        db.set(queue.space.keys.result(job.id), gadget)
        await job.refresh()
        assert job.is_failed
        assert job.description == "tests.security.jobs.forged(...)"
        for name in ("args", "kwargs", "meta", "result"):
            with pytest.raises(PayloadError):
                getattr(job, name)
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


@pytest.mark.parametrize("serializer", ["json", "pickle"])
async def test_random_bytes_fail_the_job_and_leave_the_worker_alone(
    url: str, db: Any, serializer: str
) -> None:
    """Not every text of pickle: what it may run is what the other tests are about."""
    rng = random.Random(5)
    queue = Queue("default", url, serializer=serializer)
    datas = [Queue.prepare_data(jobs.forged, (1,)) for _ in range(200)]
    made = await queue.enqueue_many(datas)
    for job in made:
        noise = b"\xff" + rng.randbytes(rng.randrange(60))
        db.hset(queue.space.keys.job(job.id), mapping={"data": noise, "meta": noise})

    async with working(queue):
        good = await queue.enqueue(jobs.echo, 5)
        assert await good.wait(timeout=20) == 5

    for job in made:
        assert "PayloadError: " in await last_line(job)


@pytest.mark.parametrize("given", ["json", "tests.security.test_serializers:MINE", "aqueue:JsonSerializer"])
def test_the_serializer_is_named_by_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("AQUEUE_SERIALIZER", given)

    assert Queue().space.codec.serializer == Worker().space.codec.serializer == JSON
    assert Queue(serializer="pickle").space.codec.serializer is PICKLE


@pytest.mark.parametrize(
    "given",
    ["yaml", "no_such_module:x", "json:loads", "json:", ":x", "aqueue:Nothing", "tests.security.other", ""],
)
def test_a_name_that_is_no_serializer_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match="serializer="):
        Queue(serializer=given)
