"""T05 to T09: workers that stand still, as a whole or their event loop alone."""

from __future__ import annotations

import asyncio

from tests.chaos import jobs
from tests.chaos.procs import WorkerProc
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import STARVED, ZOMBIES
from tests.support import wait_until

#: Seconds after which a blocked loop is given up.
MAX_STALL = 1.5


@scenario(
    "T05",
    "a worker is frozen past its lease and comes back",
    checks="I1 I2 I3 I4 I9 I10",
    quick={"zombies": 1, "at_once": 1},
    full={"zombies": 7, "at_once": 3},
    parts=20,
)
async def frozen_past_the_lease(stage: Stage) -> None:
    for worker in [stage.fleet.spawn(concurrency=1) for _ in range(2 * stage.number("at_once"))]:
        await worker.serving()

    async def one_after_the_other(row: int) -> None:
        for number in range(stage.number("zombies")):
            await _come_back(stage, str(stage.folder / f"door{row}.{number}"))

    await asyncio.gather(*map(one_after_the_other, range(stage.number("at_once"))))


async def _come_back(stage: Stage, door: str) -> None:
    """The job is run by the other worker meanwhile; what the zombie then says about it is refused."""
    job = await stage.enqueue(jobs.wait_at, door)
    [start] = await wait_until(lambda: stage.ledger.starts_of(job.id))
    frozen = stage.fleet.of(start.pid)
    frozen.freeze()
    await wait_until(lambda: len(stage.ledger.starts_of(job.id)) == 2, timeout=20)
    await asyncio.sleep(stage.dice.uniform(0, 3))
    jobs.open_door(door, frozen.pid)
    frozen.thaw()
    stage.seen.add(ZOMBIES)
    await wait_until(lambda: f"{job.id}: the lease was lost" in frozen.output)
    assert await job.get_status() == "started", "the outcome of a zombie was recorded"
    jobs.open_door(door, stage.ledger.starts_of(job.id)[-1].pid)
    assert await job.wait(20) != frozen.pid


@scenario(
    "T06",
    "a worker is frozen for less than its lease",
    checks="I1 I2 I3 I4 I10",
    quick={"freezes": 2},
    full={"freezes": 20},
    parts=10,
)
async def frozen_for_a_moment(stage: Stage) -> None:
    lease = 4
    frozen = await stage.fleet.spawn(lease=lease).serving()
    door = str(stage.folder / "door")
    for _ in range(6):
        await stage.enqueue(jobs.wait_at, door, job_timeout=600)
    await wait_until(lambda: len(stage.ledger.starts()) == 6)
    await stage.fleet.spawn(lease=lease).serving()
    for _ in range(stage.number("freezes")):
        frozen.freeze()
        await asyncio.sleep(lease * stage.dice.uniform(0.3, 0.6))  # the last beat may be a quarter old
        frozen.thaw()
        await asyncio.sleep(stage.dice.uniform(0.5, 1))
    for worker in stage.fleet.workers:
        jobs.open_door(door, worker.pid)
    await stage.all_ended()
    none_twice(stage, lease)


def none_twice(stage: Stage, lease: float) -> None:
    """Each job was started once, unless the machine kept its worker from the lease."""
    again = sum(count - 1 for count in stage.ledger.starts().values())
    if again and stage.stalls.longest > lease / 10:
        stage.seen.add(STARVED, again)
        return
    assert not again, (
        f"{again} jobs were run twice; this machine stood still for {stage.stalls.longest:.2f} s"
    )


@scenario(
    "T07",
    "Python code blocks the event loop for five leases",
    checks="I1 I2 I3 I4 I10",
    quick={"blocks": 1, "seconds": 5},
    full={"blocks": 10, "seconds": 5},
    parts=10,
)
async def loop_is_blocked(stage: Stage) -> None:
    for worker in [stage.fleet.spawn(), stage.fleet.spawn()]:
        await worker.serving()
    for _ in range(stage.number("blocks")):
        for _ in range(6):
            await stage.enqueue(jobs.nap, stage.dice.uniform(0.1, 1))
        await stage.enqueue(jobs.block, stage.numbers["seconds"])
        await stage.all_ended()
    none_twice(stage, 1)
    assert all(worker.code is None for worker in stage.fleet.workers)


@scenario(
    "T08",
    "C code holds the GIL for three leases",
    checks="I1 I2 I3 I4 I9 I10",
    quick={"holds": 1},
    full={"holds": 5},
    parts=10,
)
async def gil_is_held(stage: Stage) -> None:
    """In the worker's own process the lease is lost and the outcome refused; a child's costs nothing."""
    for worker in [stage.fleet.spawn(), stage.fleet.spawn()]:
        await worker.serving()
    for number in range(stage.number("holds")):
        exponent = jobs.exponent_for(3.5)
        mark = str(stage.folder / f"mark{number}")
        inside = await stage.enqueue(jobs.hold_the_gil_once, mark, exponent)
        await stage.all_ended()
        starts = stage.ledger.starts_of(inside.id)
        assert await inside.wait(0) == starts[-1].pid, "an outcome without a lease was recorded"
        stage.seen.add(ZOMBIES, len(starts) - 1)
        outside = await stage.enqueue(
            jobs.hold_the_gil_in_a_child_once, f"{mark} child", exponent, executor="process"
        )
        await stage.all_ended()
        if stage.stalls.longest < 0.3:
            assert len(stage.ledger.starts_of(outside.id)) == 1, "a child's calculation cost the lease"


@scenario(
    "T09",
    "the event loop is deadlocked for ever",
    checks="I1 I2 I3 I4 I10",
    quick={"deadlocks": 1},
    full={"deadlocks": 8},
    parts=5,
)
async def loop_is_deadlocked(stage: Stage) -> None:
    """The watchdog gives the leases up and ends the process with 75; the jobs run elsewhere."""

    def spawn() -> WorkerProc:
        return stage.fleet.spawn(options=["--max-stall", str(MAX_STALL)])

    for worker in [spawn(), spawn()]:
        await worker.serving()
    for number in range(stage.number("deadlocks")):
        await _deadlock(stage, str(stage.folder / f"mark{number}"))
        await spawn().serving()


async def _deadlock(stage: Stage, mark: str) -> None:
    job = await stage.enqueue(jobs.deadlock_once, mark, job_timeout=1)
    [start] = await wait_until(lambda: stage.ledger.starts_of(job.id))
    stuck = stage.fleet.of(start.pid)
    assert await stuck.ended() == 75, stuck.output
    assert await job.wait(20) != stuck.pid
    again = stage.ledger.starts_of(job.id)[-1]
    stage.seen.recovered(again.at - start.at - MAX_STALL - stuck.lease)
    stage.seen.add("deadlocks")
