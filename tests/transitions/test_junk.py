"""Junk in place of any one value that a script may read: the call works wholly or changes nothing."""

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
from tests.transitions.stage import Stage
from tests.transitions.test_foreign_types import populate

Command = tuple[Any, ...]

JUNK = [b"", b"abc", b"nan", b"-1.5", b"1e300", b"9223372036854775807", b"-99999999999999999", b"\0\xff\n "]
SCORES = ["-inf", "inf", "-1.5", "9007199254740993", "1e300"]
#: Fields that scripts read and these jobs may not have.
RECORD = {name.decode() for name in NUMBERS} | {
    "token",
    "settled",
    "request",
    "place",
    "gone",
    "worker_name",
    "nonce",
}
COUNTERS = {"seq", "front", "paused", "finished", "failed", "stopped", "canceled", "expired", "lost"}
#: So many of about two thousand for each call.
MOST = int(os.environ.get("AQUEUE_TEST_JUNK", "150"))
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


@pytest.mark.slow
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {"count", "list", "position"}])
async def test_junk_in_one_place_leaves_no_call_half_done(alone: Stage, verb: str) -> None:
    operation = VERBS[verb](alone, await populate(alone))
    keys, args = operation.keys, operation.args
    before, script = Snapshot(alone.db), alone.db.script_load(operation.script.text)
    planted = list(plants(alone, before.keys))
    for is_same, command in random.Random(verb).sample(planted, min(MOST, len(planted))):
        before.restore()
        alone.db.execute_command(*command)
        seen = look(alone.db)
        try:
            alone.db.evalsha(script, len(keys), *keys, *args)
        except ResponseError:
            assert look(alone.db) == seen, command
        else:
            wrong = torn(look(alone.db), alone.keys.prefix, alone.now()) if is_same else []
            assert wrong == [], command
