"""S29: with junk in place of an argument, too few or too many, a script works wholly or changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue import Queue
from aqueue._core.outcome import Finished, Released
from aqueue._redis import mending, operations
from aqueue._redis.operations import Operation
from tests.servers import Server
from tests.transitions.snapshot import Snapshot, look, torn
from tests.transitions.stage import Stage
from tests.transitions.test_foreign_types import CALLS, Call, populate

JUNK = [
    "",
    "abc",
    "-1",
    "0",
    "1.5",
    "1e300",
    "-inf",
    "nan",
    "9" * 18,
    "9" * 400,
    "0x10",
    "\0\xff",
    "x" * 9000,
]
#: Arguments that say where things are: another value is a call about something else.
PLACES = {"prefix", "queue", "job_id", "worker_id", "registry"}


def _mend(part: str, *names: bytes, **more: str) -> Call:
    return lambda stage, lease: mending.mend(stage.keys, part, names, repair=True, **more)


MORE: dict[str, Call] = {
    "release": lambda stage, lease: operations.settle(stage.keys, [(lease, Released(5))]),
    "finish, kept nowhere": lambda stage, lease: operations.settle(stage.keys, [(lease, Finished(None))]),
    "mend keys": _mend("keys", b"result:ended", b"heartbeat", b"queues"),
    "mend queues": _mend("queues", b"default", b"other"),
    "mend workers": _mend("workers", b"worker1"),
    "mend entries": _mend("entries", b"failed", b"nobody", registry="failed", queue="default"),
    "mend records": _mend("records", b"failed", b"a"),
    "mend jobs": _mend("jobs", b"failed", b"a", b"started"),
}
VERBS = {verb: call for verb, (call, _) in CALLS.items()} | MORE


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with Server(aof=False, binary=os.environ.get("AQUEUE_TEST_SERVER")) as running:
        yield running


@pytest.fixture
def alone(own_server: Server, namespace: str) -> Iterator[Stage]:
    """A namespace on a server that nobody else uses."""
    made = Stage(Queue("default", connection=own_server.url, namespace=namespace).space, own_server)
    made.db.flushall()
    yield made
    made.db.close()


def variants(operation: Operation[Any]) -> Iterator[tuple[bool, list[Any]]]:
    """Whether it is still about the same data, and the arguments."""
    args = list(operation.args)
    yield from ((True, [*args, *more]) for more in (JUNK, JUNK[:1], JUNK[:2]))
    yield from ((count > 0, args[:count]) for count in range(len(args)))
    for at in range(len(args)):
        name = operation.script.args[at] if at < len(operation.script.args) else ""
        for junk in JUNK:
            yield name not in PLACES, [*args[:at], junk, *args[at + 1 :]]


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
async def test_junk_in_place_of_an_argument_is_refused_or_does_no_harm(alone: Stage, verb: str) -> None:
    lease = await populate(alone)
    operation = VERBS[verb](alone, lease)
    before, script = Snapshot(alone.db), alone.db.script_load(operation.script.text)
    for is_same, args in variants(operation):
        before.restore()
        seen = look(alone.db)
        try:
            alone.db.evalsha(script, len(operation.keys), *operation.keys, *args)
        except ResponseError:
            assert look(alone.db) == seen, [str(arg)[:40] for arg in args]
        else:
            wrong = torn(look(alone.db), alone.keys.prefix, alone.now()) if is_same else []
            assert wrong == [], [str(arg)[:40] for arg in args]
