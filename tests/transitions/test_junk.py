"""Junk in place of any one value or key that a script may read: the call works wholly or changes nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue._core.record import NUMBERS
from tests.security.test_arguments import VERBS
from tests.security.test_arguments import alone as alone
from tests.security.test_arguments import own_server as own_server
from tests.transitions.snapshot import Snapshot, look, torn
from tests.transitions.stage import REGISTRIES, Stage
from tests.transitions.test_foreign_types import populate

Command = tuple[Any, ...]

JUNK = [b"", b"abc", b"nan", b"-1.5", b"1e300", b"9223372036854775807", b"-99999999999999999", b"\0\xff\n "]
SCORES = ["-inf", "inf", "-1.5", "9007199254740993", "1e300"]
pytestmark = pytest.mark.slow
each_writing = pytest.mark.parametrize("verb", sorted({*VERBS} - {"count", "list", "position"}))

#: A key of each type.
OTHER_TYPES: list[Command] = [
    ("SET", "x"), ("RPUSH", "x"), ("HSET", "f", "v"), ("ZADD", 1, "x"), ("SADD", "x"),
]  # fmt: skip
QUEUES = ("default", "other", "empty")
#: Fields that scripts read and these jobs may not have.
RECORD = {
    "token", "settled", "request", "place", "gone", "worker_name", "nonce",
    *(name.decode() for name in NUMBERS),
}  # fmt: skip
COUNTERS = {"seq", "front", "paused", "finished", "failed", "stopped", "canceled", "expired", "lost"}
#: So many of about two thousand for each call.
MOST = int(os.environ.get("AQUEUE_TEST_JUNK", "100"))
#: Say what a job is: with others it is another job, which may lie elsewhere.
WHAT_IT_IS = {b"status", b"queue", b"gone"}


def plants(stage: Stage, keys: list[bytes]) -> Iterator[tuple[bool, Command]]:
    """Whether all jobs are still what they are, and the command that puts junk somewhere."""
    db, start = stage.db, len(stage.keys.prefix)
    for key in keys:
        kind, name = db.type(key), key[start:].partition(b":")[0]
        if kind == b"hash":
            more = {b"job": RECORD, b"meta": COUNTERS, b"worker": {"claim", "claimed", "lease"}}[name]
            for field in sorted({*db.hkeys(key), *(each.encode() for each in more)}):
                yield from ((field not in WHAT_IT_IS, ("HSET", key, field, junk)) for junk in JUNK)
                yield field not in WHAT_IT_IS, ("HDEL", key, field)
        elif kind == b"zset":
            for member in db.zrange(key, 0, -1):
                yield from ((True, ("ZADD", key, score, member)) for score in SCORES)
            yield from ((False, ("ZADD", key, 1, junk)) for junk in JUNK)
        elif kind == b"string":
            yield from ((True, ("SET", key, junk)) for junk in JUNK)
        else:
            yield from ((True, ("SADD" if kind == b"set" else "LPUSH", key, junk)) for junk in JUNK)
    yield from ((True, ("SET", stage.keys.hold, junk)) for junk in JUNK)
    yield from ((True, ("SET", stage.keys.schema, junk)) for junk in JUNK)


def foreign(stage: Stage, keys: list[bytes]) -> Iterator[tuple[bytes, Command]]:
    """A key of each kind, there or not yet, and the command that makes one of another type of it."""
    prefix = stage.keys.prefix.encode()
    kinds = [*REGISTRIES, "expiring", "meta", "wake"]
    names = {*keys, *(f"{stage.keys.prefix}{kind}:{queue}".encode() for kind in kinds for queue in QUEUES)}
    names |= {prefix + name.encode() for name in ("hold", "reply:n", "worker:w1")}
    for key in keys:
        job_id = key.removeprefix(prefix + b"job:")
        names |= set() if job_id == key else {prefix + b"result:" + job_id, prefix + b"history:" + job_id}
    for key in sorted(names):
        yield from ((key, (command, key, *values)) for command, *values in OTHER_TYPES)


async def _try_all(stage: Stage, verb: str, *, with_types: bool) -> None:
    operation = VERBS[verb](stage, await populate(stage))
    before, script = Snapshot(stage.db), stage.db.script_load(operation.script.text)
    planted: list[tuple[bool, list[Command]]] = (
        [(False, [("DEL", key), command]) for key, command in foreign(stage, before.keys)]
        if with_types
        else [(is_same, [command]) for is_same, command in plants(stage, before.keys)]
    )
    for is_same, commands in random.Random(verb).sample(planted, min(MOST, len(planted))):
        before.restore()
        for command in commands:
            stage.db.execute_command(*command)
        seen = look(stage.db)
        try:
            stage.db.evalsha(script, len(operation.keys), *operation.keys, *operation.args)
        except ResponseError:
            assert look(stage.db) == seen, commands
        else:
            wrong = torn(look(stage.db), stage.keys.prefix, stage.now()) if is_same else []
            assert wrong == [], commands


@each_writing
async def test_junk_in_one_place_leaves_no_call_half_done(alone: Stage, verb: str) -> None:
    await _try_all(alone, verb, with_types=False)


@each_writing
async def test_a_key_of_another_type_leaves_no_call_half_done(alone: Stage, verb: str) -> None:
    await _try_all(alone, verb, with_types=True)
