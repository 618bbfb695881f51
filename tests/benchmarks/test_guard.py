"""What a job costs, counted instead of timed: commands in Redis, bytes in Redis, calls and memory in Python.

The limits are what it costs now, with a little room for versions of Python and Redis. What makes a job
cheaper lowers its limit here; what makes it dearer has to say why. Round trips are counted in
tests/worker/test_round_trips.py.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import pstats
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.names import new_nonce
from aqueue._core.outcome import Finished, Outcome, Released, Retried
from aqueue._redis import operations
from tests.benchmarks import jobs
from tests.servers import Server, redis_binary
from tests.transitions.stage import BOOM, HOUR, Stage, new_job
from tests.worker.hands import burst

#: Commands inside one call of a script: for one job, and for a hundred.
COMMANDS = {
    "enqueue": (11, 110),
    "schedule": (11, 110),
    "claim": (17, 215),
    "extend": (13, 211),
    "finish": (14, 608),
    "fail": (18, 612),
    "retry": (22, 1_111),
    "release": (19, 811),
    "requeue": (31, 1_813),
    "delete": (17, 512),
    "promote": (14, 509),
    "recover": (24, 915),
}
#: What a client sends, not a script.
OUTER = {"client", "config", "evalsha", "hello", "info", "ping", "script", "select"}
#: Bytes of the keys for a no-op job with the arguments (1, 2), waiting and finished. Redis draws lots for the
#: heights of a sorted set's entries: the same jobs differ by two bytes each way.
BYTES = {"valkey": (308, 390), "redis": (338, 434)}
#: Calls of functions, Python's and C's, for each job.
CALLS = {"enqueue": 115, "enqueue_many": 45, "work": 150}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def engine(request: pytest.FixtureRequest) -> str:
    if request.param == "redis" and redis_binary() is None:
        pytest.skip("no redis-server is installed")
    return str(request.param)


@pytest.fixture(scope="module")
def own_server(engine: str) -> Iterator[Server]:
    """Nobody else's commands and bytes are counted."""
    with Server(aof=False, binary=redis_binary() if engine == "redis" else None) as running:
        yield running


@pytest.fixture
def own_queue(own_server: Server) -> Queue:
    """In the namespace that most use: the length of its name counts."""
    db: Any = own_server.client()
    db.flushall()
    return Queue("default", connection=own_server.url, namespace="aqueue")


@pytest.fixture
def stage(own_queue: Queue, own_server: Server) -> Stage:
    return Stage(own_queue.space, own_server)


class Counted:
    """Counts the commands that a script calls."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.found: dict[str, tuple[int, ...]] = {}

    async def run(self, verb: str, operation: operations.Operation[Any]) -> Any:
        db = self._stage.db
        db.script_load(operation.script.text)
        db.config_resetstat()
        reply = await self._stage.run(operation)
        stats = db.info("commandstats")
        names = [name for name in stats if name.split("|")[0].removeprefix("cmdstat_") not in OUTER]
        inner = sum(stats[name]["calls"] for name in names)
        self.found[verb] = (*self.found.get(verb, ()), inner)
        return reply


def _prepared(count: int, **options: Any) -> list[operations.NewJob]:
    return [new_job(new_nonce(), **options) for _ in range(count)]


async def _lives(stage: Stage, counted: Counted, count: int) -> None:
    """Let so many jobs go each way there is."""
    keys, space = stage.keys, stage.space
    here: dict[str, Any] = {"worker_id": "worker1", "lease_ms": 30_000}

    async def claimed(verb: str | None = None) -> list[Any]:
        claim = operations.claim(keys, ["default"], name="worker1", nonce=new_nonce(), limit=count, **here)
        taken = await (space.client.run(claim) if verb is None else counted.run(verb, claim))
        assert len(taken.leases) == count
        return list(taken.leases)

    async def settled(verb: str, outcome: Outcome, leases: list[Any]) -> None:
        words = await counted.run(verb, operations.settle(keys, [(lease, outcome) for lease in leases]))
        assert words == ["ok"] * count

    await counted.run("enqueue", operations.enqueue(keys, "default", _prepared(count)))
    leases = await claimed("claim")
    await counted.run("extend", operations.extend(keys, leases, facts={"host": "here"}, **here))
    await settled("release", Released(), leases)
    await settled("retry", Retried(BOOM, 0), await claimed())
    await settled("fail", BOOM, await claimed())
    ids = stage.ids("failed")
    await counted.run("requeue", operations.requeue(keys, ids, nonce=new_nonce()))
    await claimed()
    await stage.age(60)
    stage.db.delete(keys.hold)
    await counted.run("recover", operations.recover(keys, ["default"], lease_ms=30_000))
    await settled("finish", Finished(b"result"), await claimed())
    await counted.run("delete", operations.delete(keys, ids, nonce=new_nonce()))
    await counted.run("schedule", operations.enqueue(keys, "default", _prepared(count, delay=HOUR)))
    await stage.age(3600)
    await counted.run("promote", operations.promote(keys, ["default"]))
    assert len(stage.ids("queue")) == count


async def test_the_commands_inside_each_script_are_as_few_as_they_were(stage: Stage) -> None:
    counted = Counted(stage)
    for count in (1, 100):
        stage.db.flushdb()
        await _lives(stage, counted, count)

    assert counted.found.keys() == COMMANDS.keys()
    dearer = {
        verb: found for verb, found in counted.found.items() if any(map(int.__gt__, found, COMMANDS[verb]))
    }
    assert dearer == {}


async def test_a_job_takes_no_more_bytes_of_redis_than_it_did(
    own_queue: Queue, own_server: Server, engine: str
) -> None:
    count = 1_000
    db: Any = own_server.client()

    def used() -> int:
        """Bytes of all keys; what the tables of keys take comes on top, and depends on how full they are."""
        pipeline = db.pipeline(transaction=False)
        for key in db.scan_iter(count=1_000):
            pipeline.memory_usage(key, samples=0)
        return sum(pipeline.execute())

    await _some(own_queue, count)
    queued = used()
    await burst(own_queue)

    assert queued / count <= BYTES[engine][0]
    assert used() / count <= BYTES[engine][1]


async def _some(queue: Queue, count: int) -> None:
    await queue.enqueue_many(Queue.prepare_data(jobs.noop, (1, 2)) for _ in range(count))


def _calls(profile: cProfile.Profile) -> int:
    stats: Any = pstats.Stats(profile)
    return int(stats.total_calls)


async def test_python_calls_no_more_functions_for_a_job_than_it_did(queue: Queue) -> None:
    count = 1_000
    await _some(queue, 10)
    await burst(queue)
    found: dict[str, float] = {}
    profile = cProfile.Profile()
    profile.enable()
    await asyncio.gather(*(queue.enqueue(jobs.noop, 1, 2) for _ in range(count)))
    profile.disable()
    found["enqueue"] = _calls(profile) / count
    profile = cProfile.Profile()
    profile.enable()
    await _some(queue, count)
    profile.disable()
    found["enqueue_many"] = _calls(profile) / count
    profile = cProfile.Profile()
    profile.enable()
    await burst(queue)
    profile.disable()
    found["work"] = _calls(profile) / (2 * count)

    assert {name: calls for name, calls in found.items() if calls > CALLS[name]} == {}


async def test_a_worker_keeps_nothing_of_the_jobs_it_has_run(queue: Queue) -> None:
    async def blocks_after(count: int) -> int:
        await _some(queue, count)
        await burst(queue)
        gc.collect()
        return sys.getallocatedblocks()

    await blocks_after(500)
    before = await blocks_after(500)
    after = await blocks_after(2_000)

    assert (after - before) / 2_000 < 0.2


async def test_the_handle_of_an_enqueued_job_is_small(queue: Queue) -> None:
    await _some(queue, 100)
    gc.collect()
    before = sys.getallocatedblocks()
    handles = await queue.enqueue_many(Queue.prepare_data(jobs.noop, (1, 2)) for _ in range(1_000))
    gc.collect()

    assert (sys.getallocatedblocks() - before) / len(handles) <= 30
