"""Arguments that are none are refused before the first write, also where they are used only at the end."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue._core.outcome import Finished
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from tests.transitions import lua_source as lua
from tests.transitions.stage import Stage, new_job
from tests.transitions.test_foreign_types import CALLS, Call, populate

#: Script -> a call of it.
BY_SCRIPT: dict[str, Call] = {
    **{name: CALLS[name][0] for name in lua.SCRIPTS if name in CALLS},
    "settle": CALLS["finish"][0],
}
#: (script, slot) of each number.
NUMBERS = [
    (name, slot)
    for name in BY_SCRIPT
    for slot in re.findall(r"^local (\w+) *= tonumber\(ARGV", lua.source(name), re.MULTILINE)
    if name != "list"
]


async def _refuses(stage: Stage, operation: Operation[Any], match: str) -> None:
    before = stage.digest()
    with pytest.raises(ResponseError, match=match):
        await stage.run(operation)
    assert stage.digest() == before


def _with(operation: Operation[Any], at: int, argument: Any) -> Operation[Any]:
    return replace(operation, args=[*operation.args[:at], argument, *operation.args[at + 1 :]])


@pytest.mark.parametrize(("script", "slot"), NUMBERS, ids=[f"{name}-{slot}" for name, slot in NUMBERS])
async def test_a_number_that_is_none_is_refused(stage: Stage, script: str, slot: str) -> None:
    operation = BY_SCRIPT[script](stage, await populate(stage))
    at = operation.script.args.index(slot)

    for junk in ("", "x", "1.5", "nan", "-inf", "1e300"):
        await _refuses(stage, _with(operation, at, junk), "aqueue: one of the call's numbers is none")


@pytest.mark.parametrize(
    ("script", "limit"),
    [("claim", 101), ("recover", 501), ("recover", -1), ("prune", 501), ("prune", -1)],
)
async def test_a_call_for_too_many_jobs_is_refused(stage: Stage, script: str, limit: int) -> None:
    operation = BY_SCRIPT[script](stage, await populate(stage))
    at = operation.script.args.index("limit")

    await _refuses(stage, _with(operation, at, limit), "aqueue: too many jobs for one call")


@pytest.mark.parametrize("mode", ["", "x", "canceled"])
async def test_cancel_knows_its_modes(stage: Stage, mode: str) -> None:
    await populate(stage)

    await _refuses(stage, operations.cancel(stage.keys, "a", nonce="n", mode=mode), "aqueue: no such mode")


#: What is in place of a job's arguments: id, how, the number of its fields, and these.
BROKEN_JOBS: list[tuple[list[Any], str]] = [
    (["i", "", -2], "no number of fields"),
    (["i", "", 3, "a", "b", "c"], "no number of fields"),
    (["i", "", 1.5, "a"], "no number of fields"),
    (["i", "", "x"], "no number of fields"),
    (["i", ""], "no number of fields"),
    (["i", "", 1002, *"ab" * 501], "no number of fields"),
    (["i", "", 4, "a", "b"], "a job is incomplete"),
    (["i", "n  x 0 ", 0], "numbers is none"),
    (["i", "n  0 1.5 ", 0], "numbers is none"),
    (["i", "n  0 0 nan", 0], "numbers is none"),
    (["i", "n  0 0", 0], "numbers is none"),
    (["i", "junk", 0], "numbers is none"),
]


@pytest.mark.parametrize(("job", "match"), BROKEN_JOBS)
async def test_enqueue_refuses_a_job_that_is_incomplete(stage: Stage, job: list[Any], match: str) -> None:
    operation = operations.enqueue(stage.keys, "default", [new_job("a")])

    await _refuses(stage, replace(operation, args=[*operation.args, *job]), match)


async def test_enqueue_refuses_too_many_jobs(stage: Stage) -> None:
    jobs = [new_job(f"j{number}") for number in range(101)]

    await _refuses(stage, operations.enqueue(stage.keys, "default", jobs), "there are too many")


#: What is in place of an outcome: id, token, kind, number, value and the error.
BROKEN_OUTCOMES: list[tuple[list[Any], str]] = [
    (["i", "t", "x", 0, ""], "no such outcome"),
    (["i", "t"], "no such outcome"),
    (["i", "t", "finish", "", ""], "its number is none"),
    (["i", "t", "finish", 0.5, ""], "its number is none"),
    (["i", "t", "retry", "inf", "", "", ""], "its number is none"),
    (["i", "t", "finish", 1e300, ""], "its number is none"),
    (["i", "t", "finish", 0], "an outcome is incomplete"),
    (["i", "t", "fail", 0, "", ""], "an outcome is incomplete"),
]


@pytest.mark.parametrize(("outcome", "match"), BROKEN_OUTCOMES)
async def test_settle_refuses_an_outcome_that_is_none(stage: Stage, outcome: list[Any], match: str) -> None:
    operation = operations.settle(stage.keys, [(await stage.start("a"), Finished(b"r"))])

    await _refuses(stage, replace(operation, args=[*operation.args, *outcome]), match)


async def test_settle_refuses_too_many_outcomes(stage: Stage) -> None:
    lease = await stage.start("a")

    await _refuses(stage, operations.settle(stage.keys, [(lease, Finished(b"r"))] * 101), "too many")


@pytest.mark.parametrize(
    ("fact_count", "rest"),
    [(-6, []), (1, ["a"]), (6, []), (4, ["a", "b"]), (0, ["q", "i"]), (0, ["q", "i", "t"] * 999)],
    ids=["less than none", "half a fact", "no facts", "missing facts", "half a lease", "too many leases"],
)
async def test_extend_refuses_what_is_incomplete(stage: Stage, fact_count: int, rest: list[str]) -> None:
    await stage.start("a")
    operation = operations.extend(stage.keys, [], worker_id="w", lease_ms=30_000, facts={})
    at = operation.script.args.index("fact_count")

    await _refuses(
        stage, replace(operation, args=[*operation.args[:at], fact_count, *rest]), "a fact or a lease"
    )


@pytest.mark.parametrize("verb", ["cancel", "requeue", "delete"])
async def test_a_record_that_has_lost_its_queue_is_refused_by_name(stage: Stage, verb: str) -> None:
    await stage.failed("a")
    stage.db.hdel(stage.keys.job("a"), "queue")
    keys = stage.keys
    calls: dict[str, Operation[Any]] = {
        "cancel": operations.cancel(keys, "a", nonce="n"),
        "requeue": operations.requeue(keys, ["a"], nonce="n"),
        "delete": operations.delete(keys, ["a"], nonce="n"),
    }

    await _refuses(stage, calls[verb], "a job's record names no queue, which `aqueue doctor` mends")


async def test_the_id_of_an_ended_job_that_has_lost_its_queue_is_enqueued_here(stage: Stage) -> None:
    await stage.failed("a")
    stage.db.hdel(stage.keys.job("a"), "queue")

    await stage.add("a")

    assert stage.where("a") == ["queue"]
