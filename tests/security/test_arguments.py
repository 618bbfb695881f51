"""S29: with junk among its arguments, or too few, a script leaves each job where its status says.

Not asked of the numbers that are the same in each call of ours, nor of the words of a settlement and of a
cancel, which no user chooses: they are read as they come.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue._core.outcome import Failed, Finished, Lease, Outcome, Retried
from aqueue._core.status import REGISTRY_OF, JobStatus
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from tests.transitions.conftest import stage as stage
from tests.transitions.stage import REGISTRIES, Stage, new_job

JUNK = ["", "abc", "-1", "0", "1.5", "1e400", "-inf", "nan", "9" * 400, "0x10", "\0\xff", "x" * 100_000]


async def calls(stage: Stage) -> dict[str, Operation[Any]]:
    """One call of each script that writes, each with something to do."""
    keys = stage.keys
    await stage.failed("failed", failure_ttl=1)
    lease: Lease = await stage.start("started")
    await stage.add("waiting", ttl=60_000)
    await stage.add("later", delay=60_000)
    await stage.age(120)
    ended: list[tuple[Lease, Outcome]] = [(lease, Finished(b"r")), (lease, Retried(Failed("E", "m", "t"), 5))]
    return {
        "enqueue": operations.enqueue(keys, "default", [new_job("new", priority=3, delay=5, ttl=9)]),
        "claim": operations.claim(
            keys, ["default"], worker_id="w", name="n", nonce="1", limit=5, lease_ms=30_000
        ),
        "settle": operations.settle(keys, ended),
        "extend": operations.extend(keys, [lease], worker_id="w", lease_ms=30_000, facts={"host": "h"}),
        "recover": operations.recover(keys, ["default"], lease_ms=30_000),
        "promote": operations.promote(keys, ["default"]),
        "prune": operations.prune(keys, ["default"]),
        "cancel": operations.cancel(keys, "waiting", nonce="n"),
        "requeue": operations.requeue(keys, ["failed"], nonce="n"),
        "delete": operations.delete(keys, ["failed", "waiting"], nonce="n"),
        "amend": operations.amend(keys, "waiting", b"m"),
        "pause": operations.pause(keys, "default", paused=True),
    }


#: Arguments that say where things are: another value is a call about something else.
PLACES = {"prefix", "queue", "job_id", "worker_id", "registry"}
#: Our own numbers.
OURS = {"failure_ttl_ms", "day_ms", "lease_ms", "limit", "max_bytes", "max_lost", "fact_count"}
VERBS = (
    "enqueue", "claim", "settle", "extend", "recover", "promote", "prune", "cancel", "requeue", "delete",
    "amend", "pause",
)  # fmt: skip


def open_places(verb: str, operation: Operation[Any]) -> list[int]:
    """The places of arguments that junk may take."""
    named = operation.script.args
    rest = range(len(named), len(operation.args) if verb != "settle" else len(named))
    return [at for at, name in enumerate(named) if name not in PLACES | OURS] + [*rest]


def partition(stage: Stage) -> list[str]:
    """What is not where it belongs."""
    prefix, db = f"{stage.keys.prefix}job:", stage.db
    lists = {name: set(stage.ids(name)) for name in REGISTRIES}
    jobs = {key.decode("utf-8", "replace").removeprefix(prefix) for key in db.scan_iter(match=f"{prefix}*")}
    wrong = [f"{job_id} dangles" for ids in lists.values() for job_id in ids - jobs]
    for job_id in jobs:
        status, gone, queue = db.hmget(stage.keys.job(job_id), "status", "gone", "queue")
        word = "" if gone else (status or b"").decode()
        wanted = {REGISTRY_OF[JobStatus(word)]} if word not in ("", "created") else set[str]()
        found = {name for name, ids in lists.items() if job_id in ids}
        if queue == b"default" and found != wanted:
            wrong.append(f"{job_id} is {word!r} and lies in {found}")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
async def test_junk_in_place_of_an_argument_breaks_no_job_in_two(stage: Stage, verb: str) -> None:
    operation = (await calls(stage))[verb]
    script = stage.db.script_load(operation.script.text)
    variants: list[list[Any]] = [[*operation.args, *more] for more in (JUNK, JUNK[:1])]
    for at in open_places(verb, operation):
        variants += [[*operation.args[:at], junk, *operation.args[at + 1 :]] for junk in JUNK]
    if verb not in ("settle", "cancel"):
        variants += [list(operation.args[:count]) for count in range(len(operation.args))]
    for args in variants:
        clear(stage)
        keys = (await calls(stage))[verb].keys
        with suppress(ResponseError):
            stage.db.evalsha(script, len(keys), *keys, *args)
        assert partition(stage) == [], [str(arg)[:40] for arg in args]


def clear(stage: Stage) -> None:
    stage.db.unlink(*stage.db.scan_iter(match=f"{stage.keys.prefix}*", count=10_000))
