"""S02: pickles that run code, in every field of everything that is read from Redis, run nothing.

In `data`, `meta`, results and histories a pickle is what belongs there, unless there is a key or another
serializer; everywhere else it never is, whatever the settings.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aqueue import Queue, Worker, get_failed_queue
from aqueue._core.record import Field, JobRecord
from aqueue.errors import AqueueError
from aqueue.health import namespace_facts, server_facts
from aqueue.inspection import inspect_job
from tests.cli.conftest import Invoke
from tests.cli.conftest import invoke as invoke
from tests.security import jobs
from tests.security.conftest import KEY
from tests.security.gadgets import gadgets
from tests.transitions.conftest import stage as stage
from tests.transitions.stage import REGISTRIES, Stage
from tests.worker.hands import burst

FIELDS = sorted(field.key.decode() for field in vars(JobRecord).values() if isinstance(field, Field))
#: Where a pickle belongs.
BLOBS = {"data", "meta"}
WORKER = ("name", "queues", "host", "pid", "state", "lease", "heartbeat", "claim", "claimed", "started")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """What gadgets make; it must not exist in the end."""
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


def test_there_are_enough_gadgets_and_each_works(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    made = gadgets(canary)
    assert len(set(made)) >= 100
    for gadget in made:
        with suppress(Exception):
            pickle.loads(gadget)
        assert canary.exists(), gadget
        canary.rmdir()


def test_every_field_is_known_here() -> None:
    assert {"data", "meta", "exc_info", "retry", "sig", "token", "description", "executor"} < set(FIELDS)
    assert len(FIELDS) >= 30


def plant(stage: Stage, gadget: bytes, *fields: str) -> None:
    """A job in every registry with the gadget in these fields, and the gadget in all else that is kept."""
    keys, db = stage.keys, stage.db
    for registry in [*REGISTRIES, "expiring"]:
        status = registry.replace("queue", "queued").replace("expiring", "queued")
        sane = {"status": status, "queue": "default", "function": "tests.security.jobs.echo", "data": b"[1]"}
        db.hset(keys.job(registry), mapping={**sane, **dict.fromkeys(fields, gadget)})
        db.zadd(
            keys.registry(registry, "default"), {registry: 9e14 if registry in ("failed", "started") else 1}
        )
    db.sadd(keys.queues, "default", gadget)
    db.hset(keys.meta("default"), mapping={"finished": gadget, "failed": gadget, "x": gadget})
    db.hset(keys.worker("w"), mapping=dict.fromkeys(WORKER, gadget))
    db.zadd(keys.workers, {"w": 9e15, gadget: 9e15})
    db.lpush(keys.wake("default"), gadget)
    db.set(keys.hold, gadget)
    parts = [b"failed", b"1", b"2", *[gadget] * 4]
    db.rpush(keys.history("failed"), gadget, b"".join(b"%d:%s" % (len(part), part) for part in parts))


async def look_at_everything(queue: Queue) -> None:
    """Read all there is to read, by all ways but a worker's."""
    with suppress(AqueueError, ValueError):
        await Worker.all(namespace=queue.space.keys.namespace)
    for read in (queue.count, queue.get_jobs, queue.is_paused, get_failed_queue().count, namespace_facts):
        with suppress(AqueueError, ValueError):
            await read()
    await server_facts()
    for registry in REGISTRIES:
        with suppress(AqueueError, ValueError):
            await inspect_job(registry)
        job = await queue.fetch_job(registry)
        if job is None:
            continue
        for name in dir(type(job)):
            if name != "state" and isinstance(getattr(type(job), name, None), property):
                with suppress(AqueueError, ValueError):
                    getattr(job, name)
        for call in (job.results, job.return_value, job.get_meta, job.latest_result, job.get_position):
            with suppress(AqueueError, ValueError):
                await call()


@pytest.mark.parametrize("number", range(4))
async def test_a_pickle_where_none_belongs_is_text(stage: Stage, canary: Path, url: str, number: int) -> None:
    """Without a key, with pickle: the setting that trusts Redis most."""
    made = gadgets(canary)
    plant(stage, made[number * 27], *(set(FIELDS) - BLOBS - {"status", "queue"}))

    await look_at_everything(Queue("default", url))


#: Fields that a worker reads before and after it runs a job.
READ = ("retry", "timeout", "executor", "result_ttl", "misses", "description", "exc_info", "attempts")


@pytest.mark.parametrize("options", [{}, {"signing_key": KEY}, {"serializer": "json"}], ids=str)
async def test_a_worker_takes_none_for_more_than_text(
    stage: Stage, canary: Path, url: str, options: dict[str, Any]
) -> None:
    queue = Queue("default", url, **options)
    made = gadgets(canary)
    planted = [await queue.enqueue(jobs.echo, 1) for _ in READ]
    for number, (field, job) in enumerate(zip(READ, planted, strict=True)):
        stage.db.hset(stage.keys.job(job.id), field, made[number * 11])
    good = await queue.enqueue(jobs.echo, 5)

    await burst(queue)

    assert await good.wait(timeout=5) == 5
    for job in planted:
        await job.refresh()
        assert job.is_finished or job.is_failed


def test_no_command_decodes_what_it_shows(stage: Stage, canary: Path, invoke: Invoke) -> None:
    """Without a key, with pickle: but for --decode, they never look into what jobs carry."""
    for gadget in gadgets(canary)[::55]:
        plant(stage, gadget, *(set(FIELDS) - {"status", "queue", "function"}))
        stage.db.set(stage.keys.result("finished"), gadget)
        for words in ("info", "jobs queued", "jobs failed", "show failed", "show finished", "doctor"):
            assert invoke(*words.split()).exit_code in (0, 1, 3), words
