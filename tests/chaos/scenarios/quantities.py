"""T83, T85, T86, T89, T93: many jobs, many leases, many waiters, and all faults mixed."""

from __future__ import annotations

import asyncio
import resource

from aqueue import Queue, Retry
from tests.api.admin import admin
from tests.chaos import jobs
from tests.chaos.load import load, persist
from tests.chaos.procs import WorkerProc
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.workers_die import mixed
from tests.chaos.scenarios.workers_freeze import none_twice
from tests.chaos.seen import REDIS_FAULTS, WORKER_KILLS, ZOMBIES
from tests.support import wait_until


@scenario(
    "T83",
    "many waiters in one program, and Redis restarts",
    checks="I1 I2 I3 I4 I5 I7 I10",
    quick={"jobs": 300},
    full={"jobs": 10_000},
    parts=2,
)
async def many_waiters(stage: Stage) -> None:
    """Each is told of the end of its job, in whatever order they end."""
    made = await stage.queue.enqueue_many(mixed(stage, stage.number("jobs"), 0, 0.05))
    stage.acked += [job.id for job in made]
    before = _peak()
    for job in made:
        stage.waits.add(job)
    for worker in [stage.fleet.spawn(concurrency=40), stage.fleet.spawn(concurrency=40)]:
        await worker.serving()
    await wait_until(lambda: stage.checker.ended() >= len(made) / 2, timeout=60, every=0.05)
    await asyncio.to_thread(stage.server.restart)
    stage.seen.add(REDIS_FAULTS)
    await stage.all_ended()
    stage.seen.add("mebibytes_for_waiters", (_peak() - before) >> 10)


def _peak() -> int:
    """The most memory that this process has held, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@scenario(
    "T85",
    "500 slots, 500 leases",
    checks="I1 I2 I3 I4 I5 I10 I12",
    quick={"jobs": 500, "slots": 500, "seconds": 3},
    full={"jobs": 5_000, "slots": 500, "seconds": 5},
    parts=10,
)
async def many_leases(stage: Stage) -> None:
    """All of them are kept, far beyond their length."""
    await stage.fleet.spawn(lease=1, concurrency=stage.number("slots")).serving()
    seconds = stage.numbers["seconds"]
    await stage.enqueue_many(
        stage.queue,
        [
            Queue.prepare_data(jobs.nap, (stage.dice.uniform(seconds * 0.8, seconds),))
            for _ in range(stage.number("jobs"))
        ],
    )
    await stage.all_ended(timeout=110)
    none_twice(stage, 1)


@scenario(
    "T86",
    "all leases of many expire at once",
    checks="I1 I2 I3 I4 I5 I10 I12",
    quick={"jobs": 400, "workers": 2},
    full={"jobs": 5_000, "workers": 2},
    parts=10,
)
async def mass_expiry(stage: Stage) -> None:
    """All workers are killed together; those that come afterwards run every job once more."""
    count, workers = stage.number("jobs"), stage.number("workers")
    killed = [stage.fleet.spawn(lease=2, concurrency=count // workers) for _ in range(workers)]
    for worker in killed:
        await worker.serving()
    marks = stage.folder / "marks"
    marks.mkdir()
    await stage.enqueue_many(
        stage.queue, [Queue.prepare_data(jobs.hang_once, (str(marks),)) for _ in range(count)]
    )
    await wait_until(lambda: len(stage.ledger.starts()) == count, timeout=60, every=0.05)
    for worker in killed:
        worker.kill()
        stage.seen.add(WORKER_KILLS)
    for worker in [stage.fleet.spawn(lease=2, concurrency=50) for _ in range(workers)]:
        await worker.serving()
    await stage.all_ended()
    assert set(stage.ledger.starts().values()) == {2}, "a job was not run exactly once more"
    stage.seen.add("leases_expired", count)


@scenario(
    "T89",
    "a day of leases with mixed jobs and a fault every few seconds",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"faults": 4, "workers": 3},
    full={"faults": 40, "workers": 3},
    parts=30,
)
async def mixed_faults(stage: Stage) -> None:
    """Whatever comes: workers are killed, frozen and replaced, Redis is killed, frozen and cut off."""
    for worker in [_spawn(stage) for _ in range(stage.number("workers"))]:
        await worker.serving()
    faults = [_kill, _freeze, _replace, _kill_redis, _freeze_redis, _flush_scripts, _cut_connections]
    async with load(stage, 0.5):
        for _ in range(stage.number("faults")):
            await asyncio.sleep(stage.dice.uniform(0.2, 1.5))
            for _ in range(3):
                await _enqueue_something(stage)
            fault = stage.dice.choice(faults)
            stage.seen.add(f"fault {fault.__name__.strip('_')}")
            await fault(stage)
    while len(stage.fleet.alive) < 2:
        await _spawn(stage).serving()
    await stage.all_ended(timeout=100)


def _spawn(stage: Stage) -> WorkerProc:
    return stage.fleet.spawn(lease=1.5, grace=0.5, concurrency=stage.dice.choice([1, 4, 20]))


async def _enqueue_something(stage: Stage) -> None:
    """Jobs of other kinds than those of the load."""
    seconds = stage.dice.uniform(0, 0.5)
    match stage.dice.randrange(4):
        case 0:
            await persist(stage, jobs.nap_in_thread, seconds, executor="process", retry=50)
        case 1:
            await persist(stage, jobs.fail_until_the_last, seconds, retry=Retry(max=3, interval=[0, 1]))
        case 2:
            await persist(stage, jobs.nap, 30.0, job_timeout=0.5)
        case _:
            await persist(stage, jobs.nap, seconds, at_front=True, priority=stage.dice.randint(-2, 2))


async def _kill(stage: Stage) -> None:
    stage.dice.choice(stage.fleet.alive).kill()
    stage.seen.add(WORKER_KILLS)
    await _spawn(stage).serving()


async def _freeze(stage: Stage) -> None:
    worker = stage.dice.choice(stage.fleet.alive)
    seconds = stage.dice.uniform(0.2, 4)
    worker.freeze()
    await asyncio.sleep(seconds)
    worker.thaw()
    stage.seen.add(ZOMBIES, seconds > worker.lease * 1.3)


async def _replace(stage: Stage) -> None:
    worker = stage.dice.choice(stage.fleet.alive)
    worker.terminate()
    await _spawn(stage).serving()
    assert await worker.ended(timeout=40) == 0, worker.output


async def _kill_redis(stage: Stage) -> None:
    stage.server.kill()
    stage.seen.add(REDIS_FAULTS)
    await asyncio.sleep(stage.dice.uniform(0, 2))
    await asyncio.to_thread(stage.server.start)


async def _freeze_redis(stage: Stage) -> None:
    stage.server.freeze()
    stage.seen.add(REDIS_FAULTS)
    await asyncio.sleep(stage.dice.uniform(0.2, 4))
    stage.server.thaw()


async def _flush_scripts(stage: Stage) -> None:
    with admin(stage.server) as client:
        client.script_flush()


async def _cut_connections(stage: Stage) -> None:
    with admin(stage.server) as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


@scenario(
    "T93",
    "how many connections a worker has",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"workers": 2, "rounds": 2},
    full={"workers": 8, "rounds": 30},
)
async def connections(stage: Stage) -> None:
    """No more with many slots than with one, and no more after many jobs than after the first."""
    for number in range(stage.number("workers")):
        await stage.fleet.spawn(lease=2, concurrency=[1, 64][number % 2]).serving()
    for _ in range(stage.number("rounds")):
        await stage.enqueue_many(stage.queue, mixed(stage, 200, 0, 0.02))
        await stage.all_ended()
        with admin(stage.server) as client:
            count = len(client.client_list())
        most = 6 * stage.number("workers") + 6
        assert count <= most, f"{count} connections of {stage.number('workers')} workers and this program"
        stage.seen.counts["connections"] = max(count, stage.seen.counts["connections"])
