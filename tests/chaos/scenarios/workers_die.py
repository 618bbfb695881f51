"""T01 to T04 and T16: workers that are killed, or kill themselves."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from aqueue import Queue, Retry
from tests.chaos import jobs
from tests.chaos.points import LEAVING, WORKING
from tests.chaos.procs import WorkerProc
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import WORKER_KILLS
from tests.support import wait_until

#: Functions that differ in where they run.
NAPS: list[Callable[..., Any]] = [jobs.nap, jobs.nap_in_thread]


def naps(stage: Stage, count: int, shortest: float, longest: float) -> list[Any]:
    return [
        Queue.prepare_data(stage.dice.choice(NAPS), (stage.dice.uniform(shortest, longest),))
        for _ in range(count)
    ]


def mixed(stage: Stage, count: int, shortest: float, longest: float) -> list[Any]:
    """As `naps`, and one in ten fails twice and is tried again."""
    some = count // 10
    retried = [
        Queue.prepare_data(
            jobs.fail_until_the_last, (stage.dice.uniform(shortest, longest),), retry=Retry(max=2)
        )
        for _ in range(some)
    ]
    made = [*naps(stage, count - some, shortest, longest), *retried]
    stage.dice.shuffle(made)
    return made


@scenario(
    "T01",
    "workers are killed at random times, two queues",
    checks="I1 I2 I3 I4 I5 I10 I11 I12",
    quick={"jobs": 90, "kills": 3, "workers": 3, "slots": 8},
    full={"jobs": 4800, "kills": 40, "workers": 4, "slots": 16},  # more would wait for slots
    parts=25,
)
async def killed_at_random(stage: Stage) -> None:
    stage.checker.serve("default", "other")
    queues = [stage.queue, Queue("other", stage.server.url, namespace="chaos")]

    def spawn() -> WorkerProc:
        return stage.fleet.spawn("default", "other", lease=2, concurrency=stage.number("slots"))

    for worker in [spawn() for _ in range(stage.number("workers"))]:
        await worker.serving()
    for _ in range(kills := stage.number("kills")):
        batch = mixed(stage, stage.number("jobs") // kills, 0.02, 0.4)
        await stage.enqueue_many(stage.dice.choice(queues), batch)
        await asyncio.sleep(stage.dice.uniform(0.05, 0.4))
        stage.dice.choice(stage.fleet.alive).kill()
        stage.seen.add(WORKER_KILLS)
        await spawn().serving()
    await stage.all_ended()


@scenario(
    "T02",
    "a worker is killed at each named point",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"kills": 4},
    full={"kills": 60},
    parts=13,
)
async def killed_at_each_point(stage: Stage) -> None:
    """Some at a time, each to die at a point of its own; one more worker dies at none."""
    await stage.fleet.spawn(concurrency=2).serving()
    points = stage.dice.sample(sorted(WORKING), len(WORKING))
    for start in range(0, stage.number("kills"), 4):
        chosen = [points[(start + place) % len(points)] for place in range(4)]
        await _all_die(stage, chosen)
    stage.fleet.spawn()
    await stage.all_ended()


async def _all_die(stage: Stage, points: Sequence[str]) -> None:
    """Give workers something to do until each has come to its point."""
    doomed = [stage.fleet.spawn(point=f"{point}:{stage.dice.randint(1, 3)}") for point in points]
    until = time.monotonic() + 40
    while any(worker.code is None for worker in doomed) and time.monotonic() < until:
        await stage.enqueue_many(stage.queue, mixed(stage, 20, 0.02, 0.2))
        await asyncio.sleep(0.25)
    for point, worker in zip(points, doomed, strict=True):
        assert worker.code == -9, f"{point}: {worker.code}, {worker.output}"
        stage.seen.add(WORKER_KILLS)


@scenario(
    "T03",
    "a child process is killed, and a parent while its children run",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"children": 2, "parents": 1},
    full={"children": 25, "parents": 10},
    parts=20,
)
async def children_are_killed(stage: Stage) -> None:
    """A killed child costs its job one attempt; a killed parent takes its children along."""
    kinds = ["parent"] * stage.number("parents") + ["child"] * stage.number("children")
    stage.dice.shuffle(kinds)

    def spawn() -> WorkerProc:
        return stage.fleet.spawn(lease=2, options=["--executor", "process", "--max-children", "2"])

    for worker in [spawn(), spawn()]:
        await worker.serving()
    for kind in kinds:
        for _ in range(4):
            await stage.enqueue(jobs.nap_in_thread, stage.dice.uniform(0.2, 0.8), retry=60)
        running = await wait_until(lambda: _running(stage), timeout=30)
        if kind == "child":
            os.kill(stage.dice.choice(sorted(running)), 9)
            stage.seen.add("child_kills")
        else:
            parent = stage.dice.choice(stage.fleet.alive)
            children = {pid for pid in _running(stage) if _parent(pid) == parent.pid}
            parent.kill()
            stage.seen.add(WORKER_KILLS)
            await _are_gone(children)
            await spawn().serving()
    await stage.all_ended()


async def _are_gone(pids: set[int]) -> None:
    await wait_until(lambda: not any(map(_parent, pids)), timeout=5, description="the end of all children")


def _running(stage: Stage) -> set[int]:
    """Children that run a job now, by their process ids."""
    entries = stage.ledger.entries()
    over = {(entry.job_id, entry.token) for entry in entries if entry.event == "end"}
    pids = {entry.pid for entry in entries if (entry.job_id, entry.token) not in over}
    return {pid for pid in pids if _parent(pid)}


def _parent(pid: int) -> int:
    """The parent of a process; 0 when there is no such process any more."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, parent = file.read().rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state == "Z" else int(parent)


@scenario(
    "T04",
    "a worker is killed during its shutdown",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"kills": 4},
    full={"kills": 40},
    parts=10,
)
async def killed_while_it_leaves(stage: Stage) -> None:
    """Half of them at a named point, half a moment after SIGTERM."""
    points = stage.dice.sample(sorted(LEAVING), len(LEAVING))
    for start in range(0, stage.number("kills"), 4):
        ends = [*(points[(start // 2 + place) % len(points)] for place in range(2)), "", ""]
        leaving = [stage.fleet.spawn(grace=0.2, point=point) for point in ends]
        for worker in leaving:
            await worker.serving()
        for _ in range(40):
            await stage.enqueue(stage.dice.choice(NAPS), stage.dice.uniform(0.05, 1))
        await wait_until(lambda: len(_running_jobs(stage)) >= 8)
        await asyncio.gather(*(_end(stage, *each) for each in zip(leaving, ends, strict=True)))
    stage.fleet.spawn()
    await stage.all_ended()


async def _end(stage: Stage, worker: WorkerProc, point: str) -> None:
    """Terminate it, and kill it at once, as the grace ends, or leave it to its point."""
    worker.terminate()
    if point:
        code = await worker.ended(timeout=20)
        assert code in (-9, 0), f"{point}: {code}, {worker.output}"
        stage.seen.add(WORKER_KILLS, code == -9)  # with no job left at the end of the grace some are not met
        return
    longest = 0.03 if stage.dice.random() < 0.5 else 0.3
    await asyncio.sleep(stage.dice.uniform(longest - 0.03, longest))
    worker.kill()
    stage.seen.add(WORKER_KILLS)


def _running_jobs(stage: Stage) -> set[str]:
    entries = stage.ledger.entries()
    over = {entry.token for entry in entries if entry.event == "end"}
    return {entry.job_id for entry in entries if entry.token not in over}
