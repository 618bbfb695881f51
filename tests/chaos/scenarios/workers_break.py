"""T16 to T18: jobs that break the process they run in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.workers_die import naps
from tests.chaos.seen import WORKER_KILLS
from tests.support import wait_until


@scenario(
    "T16",
    "jobs that kill their process: exit, segmentation fault, out of memory",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"pills": 1, "jobs": 30, "max_lost": 1},
    full={"pills": 4, "jobs": 150, "max_lost": 3},
    parts=13,
)
async def poison(stage: Stage) -> None:
    """One after the other: several at a time may take a neighbour along more often than `max_lost`."""
    for number in range(stage.number("pills")):
        deadly = [jobs.die, jobs.crash, jobs.die_in_thread][number % 3]
        await _swallow(stage, deadly, [jobs.die_in_thread, jobs.exhaust][number % 2])
    stage.seen.add(WORKER_KILLS, sum(worker.code is not None for worker in stage.fleet.workers))


async def _swallow(stage: Stage, inside: Callable[[], Any], outside: Callable[[], Any]) -> None:
    """In the worker's own process a pill is given up after some starts; a child dies alone, once."""
    before = set(stage.acked)
    await stage.enqueue_many(stage.queue, naps(stage, stage.number("jobs") // 2, 0.01, 0.1))
    killer = await stage.enqueue(inside)
    stage.bear_losses(killer, stage.number("max_lost"))
    child = await stage.enqueue(outside, executor="process")
    await stage.enqueue_many(stage.queue, naps(stage, stage.number("jobs") // 2, 0.01, 0.1))

    def is_over() -> bool:
        while len(stage.fleet.alive) < 2:
            stage.fleet.spawn(concurrency=30)
        return stage.checker.ended() >= len(stage.acked)

    await wait_until(is_over, timeout=60, every=0.05, description="the end of all jobs")
    for job_id in set(stage.acked) - before:
        found = await stage.queue.fetch_job(job_id)
        assert found is not None, job_id
        if job_id in (killer.id, child.id):
            assert found.is_failed, f"the pill {job_id} is {found.status}"
        else:
            assert found.is_finished, f"{job_id}, a neighbour of the pills, is {found.status}"
    await killer.refresh()
    times = stage.number("max_lost") + 1
    assert f"its worker disappeared {times} times" in (killer.exc_info or ""), killer.exc_info
    stage.seen.add("pills", 2)


@scenario(
    "T17",
    "workers that are replaced after so many jobs, or so much memory",
    checks="I1 I2 I3 I4 I5 I10",
    quick={"recycles": 2},
    full={"recycles": 15},
    parts=5,
)
async def recycled(stage: Stage) -> None:
    """A supervisor replaces them; half the jobs leak, so that either limit is met."""
    limits = ["--max-jobs", "25"] if stage.dice.random() < 0.5 else ["--max-rss", "120M"]
    supervisor = stage.fleet.spawn(lease=2, options=["--processes", "1", *limits])
    await supervisor.serving()

    def recycles() -> int:
        return supervisor.output.count("exited with 75")

    while recycles() < stage.number("recycles"):
        assert supervisor.code is None, supervisor.output
        for _ in range(10):
            await stage.enqueue(jobs.leak, 4)
        batch = naps(stage, 10, 0.01, 0.1)
        await stage.enqueue_many(stage.queue, batch)
        await stage.all_ended()
    stage.seen.add("recycles", recycles())
    assert set(stage.ledger.starts().values()) == {1}, "a job was lost with a worker that was replaced"
    supervisor.terminate()
    assert await supervisor.ended(timeout=30) == 0, supervisor.output


@scenario(
    "T18",
    "threads that ignore their cancellation fill a worker",
    checks="I1 I2 I3 I4 I10",
    quick={"zombies": 5, "rounds": 1},
    full={"zombies": 60, "rounds": 3},
    parts=5,
)
async def full_of_zombies(stage: Stage) -> None:
    """Past `max_zombies` it drains, exits 75 although the threads run on, and the next one takes over."""
    count = stage.number("zombies")
    for _ in range(stage.number("rounds")):
        options = ["--max-zombies", str(count - 1), "-c", str(count + 4)]
        worker = await stage.fleet.spawn(grace=1, options=options).serving()
        for _ in range(count):
            await stage.enqueue(jobs.nap_in_thread, 60, job_timeout=0.5)
        batch = naps(stage, 20, 0.01, 0.1)
        await stage.enqueue_many(stage.queue, batch)
        assert await worker.ended(timeout=60) == 75, worker.output
        stage.seen.add("worker_full_of_zombies")
        last = await stage.fleet.spawn().serving()
        await stage.all_ended()
        last.terminate()
        assert await last.ended() == 0, last.output
