"""T10 to T14 and T19: workers that are told to leave, and workers that come."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess

from tests.chaos import jobs
from tests.chaos.procs import WorkerProc
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.workers_die import NAPS, naps
from tests.chaos.scenarios.workers_freeze import none_twice
from tests.chaos.seen import STARVED
from tests.support import wait_until


async def busy_workers(
    stage: Stage, count: int, shortest: float, longest: float, grace: float
) -> list[WorkerProc]:
    """Workers that have begun jobs of such a length."""
    workers = [stage.fleet.spawn(lease=2, concurrency=4, grace=grace) for _ in range(count)]
    for worker in workers:
        await worker.serving()
    before = stage.ledger.starts().total()
    for _ in range(3 * count):
        await stage.enqueue(stage.dice.choice(NAPS), stage.dice.uniform(shortest, longest), retry=1)
    await started(stage, before + 3 * count)
    return workers


async def started(stage: Stage, count: int) -> None:
    """Wait for so many starts in all."""
    await wait_until(
        lambda: stage.ledger.starts().total() >= count, timeout=30, description=f"{count} starts"
    )


def none_lost(stage: Stage, lease: float) -> None:
    """Whoever leaves in order loses no lease, unless the machine kept it from that."""
    lost = stage.checker.leases_lost()
    if lost and stage.stalls.longest > lease / 10:
        stage.seen.add(STARVED, lost)
        return
    assert not lost, f"{lost} leases were lost; this machine stood still for {stage.stalls.longest:.2f} s"


@scenario(
    "T10",
    "SIGTERM, the jobs end inside the grace",
    checks="I1 I2 I3 I4 I10",
    quick={"workers": 2, "rounds": 1},
    full={"workers": 5, "rounds": 8},
    parts=5,
)
async def jobs_end_inside_the_grace(stage: Stage) -> None:
    for _ in range(stage.number("rounds")):
        workers = await busy_workers(stage, stage.number("workers"), 0.3, 1.5, grace=30)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            assert await worker.ended(timeout=30) == 0, worker.output
            assert "Traceback" not in worker.output, worker.output
            stage.seen.add("terminations")
        await stage.all_ended(timeout=1)
    none_twice(stage, 2)


@scenario(
    "T11",
    "SIGTERM, the jobs exceed the grace: coroutines, threads, processes",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"workers": 1, "rounds": 1},
    full={"workers": 4, "rounds": 5},
    parts=10,
)
async def jobs_exceed_the_grace(stage: Stage) -> None:
    """They are given back, and run again elsewhere with all their retries."""
    for number in range(stage.number("rounds")):
        await _exceed(stage, str(stage.folder / f"door{number}"))
    none_lost(stage, 2)
    for job_id in stage.acked:
        job = await stage.queue.fetch_job(job_id)
        assert job is not None, job_id
        assert (job.is_finished, job.retries_left) == (True, 1), f"{job_id}: {job.status}, {job.retries_left}"


async def _exceed(stage: Stage, door: str) -> None:
    workers = [
        stage.fleet.spawn(lease=2, grace=0.3, options=["--max-children", "8"])
        for _ in range(stage.number("workers"))
    ]
    for worker in workers:
        await worker.serving()
    before = stage.ledger.starts().total()
    for _ in workers:
        await stage.enqueue(jobs.wait_at, door, retry=1)
        await stage.enqueue(jobs.wait_at_in_thread, door, retry=1)
        await stage.enqueue(jobs.wait_at_in_thread, door, retry=1, executor="process")
    await started(stage, before + 3 * len(workers))
    for worker in workers:
        worker.terminate()
    for worker in workers:
        assert await worker.ended(timeout=30) == 0, worker.output
        stage.seen.add("terminations")
    last = await stage.fleet.spawn(lease=2, concurrency=40, options=["--max-children", "8"]).serving()
    await _let_all_go(stage, door)
    last.terminate()
    assert await last.ended(timeout=30) == 0, last.output


async def _let_all_go(stage: Stage, door: str) -> None:
    """Let jobs end wherever they run by now, child processes included."""

    def is_over() -> bool:
        for entry in stage.ledger.entries():
            jobs.open_door(door, entry.pid)
        return stage.checker.ended() >= len(stage.acked)

    await wait_until(is_over, timeout=60, every=0.1, description="the end of all jobs")


@scenario(
    "T12",
    "SIGTERM twice, after SIGINT, and at any moment of the start",
    checks="I1 I2 I3 I4 I10",
    quick={"starts": 8, "seconds": 1},
    full={"starts": 100, "seconds": 20},
    parts=5,
)
async def terminated_at_any_moment(stage: Stage) -> None:
    """While it starts it ends quietly; at a second signal it ends with 130 and gives its jobs back."""
    for _ in range(stage.number("starts") // 4):
        starting = [stage.fleet.spawn() for _ in range(4)]
        await asyncio.gather(*(_terminate(stage, worker) for worker in starting))
        for worker in starting:
            code = await worker.ended(timeout=30)
            assert code in (0, -signal.SIGTERM), worker.output
            assert "Traceback" not in worker.output, worker.output
    for number in range(stage.number("seconds")):
        [worker] = await busy_workers(stage, 1, 1.5, 2.5, grace=30)
        first, second = [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)][number % 2]
        worker.send(first)
        await _told(worker, "no new jobs")
        worker.send(second)
        assert await worker.ended(timeout=30) == 130, worker.output
        assert "Traceback" not in worker.output, worker.output
        stage.seen.add("second_signals")
    stage.fleet.spawn()
    await stage.all_ended()
    none_lost(stage, 1)


async def _terminate(stage: Stage, worker: WorkerProc) -> None:
    await asyncio.sleep(stage.dice.uniform(0, 2))
    worker.terminate()
    stage.seen.add("terminations")


async def _told(worker: WorkerProc, text: str) -> None:
    await wait_until(lambda: text in worker.output, description=text)


@scenario(
    "T13",
    "a worker as PID 1 of a namespace",
    checks="I1 I2 I3 I4 I10",
    quick={"rounds": 1},
    full={"rounds": 10},
    parts=2,
)
async def first_process(stage: Stage) -> None:
    """Nobody else reaps orphans there, and a signal without a handler would do nothing."""
    if not _may_unshare():
        stage.seen.add("no_namespaces_allowed")
        return
    for _ in range(stage.number("rounds")):
        worker = stage.fleet.spawn(
            lease=2, grace=10, options=["--processes", "1"], before=["unshare", "-Urpf", "--kill-child"]
        )
        await worker.serving()
        for _ in range(2):
            await stage.enqueue(jobs.leave_an_orphan)
            await stage.enqueue(jobs.nap, stage.dice.uniform(0.3, 1))
        await started(stage, len(stage.acked))
        [inner] = _children(worker.pid)
        await stage.all_ended()
        await _has_no_zombies(inner)
        os.kill(inner, signal.SIGTERM)
        assert await worker.ended(timeout=30) == 0, worker.output
        stage.seen.add("first_processes")
    none_twice(stage, 2)


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urpf", "true"], capture_output=True, check=False).returncode == 0


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(text) for text in file.read().split()]


async def _has_no_zombies(pid: int) -> None:
    await wait_until(lambda: not _zombies_of(pid), description="the last zombie is reaped")


def _zombies_of(pid: int) -> list[int]:
    found: list[int] = []
    for child in _children(pid):
        with open(f"/proc/{child}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                found.append(child)
    return found


@scenario(
    "T14",
    "workers are replaced one after the other under load",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"rounds": 1, "workers": 2},
    full={"rounds": 5, "workers": 4},
    parts=10,
)
async def rolling_restart(stage: Stage) -> None:
    """No job fails, none uses up a retry, and the work goes on meanwhile."""
    for worker in [stage.fleet.spawn(lease=2, grace=0.1) for _ in range(stage.number("workers"))]:
        await worker.serving()
    is_over = asyncio.Event()
    producing = asyncio.create_task(_produce(stage, is_over))
    for _ in range(stage.number("rounds")):
        for worker in list(stage.fleet.alive):
            worker.terminate()
            assert await worker.ended(timeout=30) == 0, worker.output
            stage.seen.add("terminations")
            await stage.fleet.spawn(lease=2, grace=0.1).serving()
    is_over.set()
    await producing
    await stage.all_ended()
    none_lost(stage, 2)
    ends = sorted(entry.at for entry in stage.ledger.entries() if entry.event == "end")
    pause = max(later - sooner for sooner, later in itertools.pairwise(ends))
    assert pause < 2 + stage.stalls.longest, f"no job ended for {pause:.1f} s"
    for job_id in stage.acked:
        job = await stage.queue.fetch_job(job_id)
        assert job is not None, job_id
        assert (job.is_finished, job.retries_left) == (True, 1), f"{job_id}: {job.status}, {job.retries_left}"


async def _produce(stage: Stage, is_over: asyncio.Event) -> None:
    while not is_over.is_set():  # cancelled, it would not know whether its last job is in
        await stage.enqueue(stage.dice.choice(NAPS), stage.dice.uniform(0.02, 0.3), retry=1)
        await asyncio.sleep(0.01)


@scenario(
    "T19",
    "two workers with the same name",
    checks="I1 I2 I3 I4 I10",
    quick={"rounds": 1},
    full={"rounds": 10},
    parts=2,
)
async def same_name(stage: Stage) -> None:
    """Names are labels: neither touches what the other one leases, also when one of them goes."""
    for _ in range(stage.number("rounds")):
        twins = [stage.fleet.spawn(lease=2, grace=10, options=["--name", "twin"]) for _ in range(2)]
        for worker in twins:
            await worker.serving()
        await stage.enqueue_many(stage.queue, naps(stage, 40, 0.2, 0.8))
        await started(stage, len(stage.acked) - 30)
        twins[0].terminate()
        assert await twins[0].ended(timeout=30) == 0, twins[0].output
        await stage.all_ended()
        twins[1].terminate()
        assert await twins[1].ended(timeout=30) == 0, twins[1].output
        stage.seen.add("twins")
    none_twice(stage, 2)
