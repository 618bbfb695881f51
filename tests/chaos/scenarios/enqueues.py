"""T48, T49: enqueues whose answer is lost, and producers that die in the middle of one."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aqueue import DuplicateJobError, EnqueueUncertain, Queue, QueueFull, QueueUnavailable
from aqueue._redis import coalescer
from tests.api.admin import admin
from tests.api.proxy import Proxy
from tests.api.test_lost_replies import ENQUEUE
from tests.chaos import jobs
from tests.chaos.procs import ROOT
from tests.chaos.producers import TOGETHER
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import quiet, without_aof
from tests.chaos.seen import LOST_REPLIES
from tests.chaos.storms import short_pauses
from tests.servers import free_port

#: What befalls the server, and its cure.
TROUBLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "replica": (("REPLICAOF", "127.0.0.1", str(free_port())), ("REPLICAOF", "NO", "ONE")),
}


class Trap:
    """The first enqueue loses its request or its reply, and in that moment the trouble comes."""

    def __init__(self, proxy: Proxy, trouble: Callable[[], Any], *, before: bool) -> None:
        self._trouble = trouble
        self._before = before
        self._is_set = True
        self._loses = False
        proxy.clear()
        if before:
            proxy.on(ENQUEUE, "cut before")
        proxy.heard, proxy.loses = self._heard, self._lost

    def _heard(self, chunk: bytes) -> None:
        if ENQUEUE in chunk and self._is_set:
            self._is_set = False
            if self._before:
                self._trouble()
            else:
                self._loses = True

    def _lost(self, chunk: bytes) -> bool:
        if self._loses:
            self._loses = False
            self._trouble()
            return True
        return False


@scenario(
    "T48",
    "the reply to an enqueue is lost, then memory is full or the server read-only",
    quick={"enqueues": 12},
    full={"enqueues": 150},
    parts=4,
    server=without_aof,
)
async def lost_then_refused(stage: Stage) -> None:
    """Whatever the caller is told is true, and `retry()` settles what was uncertain."""
    with pytest.MonkeyPatch.context() as patch, short_pauses(), quiet(), admin(stage.server) as db:
        patch.setattr(coalescer, "PATIENCE", 0.15)
        async with Proxy(stage.server.url) as proxy, Queue("default", proxy.url, namespace="chaos") as far:
            for number in range(stage.number("enqueues")):
                begin, end = TROUBLES[stage.dice.choice(list(TROUBLES))]
                before = stage.dice.random() < 0.3
                Trap(proxy, functools.partial(db.execute_command, *begin), before=before)
                stage.seen.add(LOST_REPLIES, not before)
                cure = functools.partial(db.execute_command, *end)
                await _told_the_truth(stage, far, f"job{number}", cure)
    await stage.fleet.spawn().serving()
    await stage.all_ended()


async def _told_the_truth(stage: Stage, far: Queue, job_id: str, cure: Callable[[], Any]) -> None:
    is_in, uncertain = False, None
    try:
        await far.enqueue(jobs.nap, 0, job_id=job_id)
        is_in = True
    except EnqueueUncertain as error:
        uncertain = error
    except (QueueFull, QueueUnavailable):
        pass
    cure()
    known = await stage.queue.fetch_job(job_id) is not None
    assert uncertain is not None or known == is_in, f"{job_id} is in: {known}, told: {is_in}"
    stage.seen.add("uncertain" if uncertain else "in" if is_in else "not_in")
    if uncertain is not None and known and stage.dice.random() < 0.5:
        with pytest.raises(DuplicateJobError):
            await far.enqueue(jobs.nap, 0, job_id=job_id)
    if uncertain is not None:
        await uncertain.retry()
    if is_in or uncertain is not None:
        stage.acked.append(job_id)


@scenario(
    "T49",
    "a producer is killed in the middle of an enqueue",
    quick={"kills": 15},
    full={"kills": 125},
    parts=4,
)
async def dying_producers(stage: Stage) -> None:
    """What it was told is in is in; the rest is in or not, but whole, and a call of many all or nothing."""
    file = stage.folder / "produced"
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.producers", stage.server.url, str(file),
        str(stage.dice.randrange(10**9)), str(stage.number("kills")), cwd=ROOT,
    )  # fmt: skip
    assert await program.wait() == 0
    stage.seen.add("producer_kills", stage.number("kills"))
    lines = [line.split() for line in file.read_text().splitlines()]
    tried = [ids for word, *ids in lines if word == "try"]
    told = {job_id for word, *ids in lines if word == "in" for job_id in ids}
    found = await _stored(stage)
    assert told <= found, f"lost: {sorted(told - found)[:5]}"
    assert found <= {job_id for ids in tried for job_id in ids}
    for ids in tried:
        assert len(found & set(ids)) in (0, len(ids)), f"a call of {TOGETHER} is in by halves"
    stage.seen.add("untold", len(found - told))
    stage.acked += found
    await stage.fleet.spawn(concurrency=50).serving()
    await stage.all_ended()


async def _stored(stage: Stage) -> set[str]:
    db: Any
    with stage.server.client() as db:
        prefix = stage.queue.space.keys.job("")
        return {key.decode().removeprefix(prefix) for key in db.scan_iter(match=prefix + "*", count=1000)}
