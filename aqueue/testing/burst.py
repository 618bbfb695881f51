"""Run what waits in a queue, with a real worker, in the loop of the test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aqueue._core.outcome import Failed, Finished, Lease, Outcome, Released, Retried
from aqueue.errors import JobFailed, JobTimeout
from aqueue.jobs import Job, fetch_jobs
from aqueue.queue import Queue
from aqueue.worker.settings import RunLimits
from aqueue.worker.worker import Worker


@dataclass(frozen=True, slots=True)
class BurstReport:
    """What a burst did."""

    #: Executions that ended so. A failure that is followed by a retry counts as retried.
    finished: int
    failed: int
    retried: int
    #: The jobs that ran, each once, in the order in which they first ended, as they were after the burst;
    #: without those of which nothing is kept (`result_ttl=0`).
    jobs: list[Job[Any]]


async def run_burst(
    target: Worker | Queue | str | Iterable[Queue | str], *, raise_on_failure: bool = True
) -> BurstReport:
    """Run all jobs that wait in the queues, and those that these enqueue, and return when none is left.

    A real worker runs them in the loop of the caller. Scheduled jobs and retries that have to wait are left:
    `time_travel`, then burst again. Cancelling it gives the jobs back to their queue.

    Args:
        target: Queues, or a worker made by hand, with a lifespan or a `concurrency` of its own.
        raise_on_failure: When all is done, raise the error of the first job that failed; False: report it.

    Raises:
        JobFailed: A job failed, `JobTimeout` when it ran too long; the error carries its traceback as a note.
    """
    worker = target if isinstance(target, Worker) else Worker(target, grace=0)
    ended: list[tuple[Lease, Outcome]] = []

    def note(lease: Lease, outcome: Outcome) -> None:
        ended.append((lease, outcome))

    told, worker._me.told = worker._me.told, note
    try:
        await worker._work_as_guest(RunLimits(burst=True))
    finally:
        worker._me.told = told
    if raise_on_failure:
        _raise_first(ended)
    outcomes = [outcome for _, outcome in ended]
    found = await fetch_jobs(worker.space, list(dict.fromkeys(lease.job_id for lease, _ in ended)))
    return BurstReport(
        finished=sum(isinstance(outcome, Finished) for outcome in outcomes),
        failed=sum(isinstance(outcome, Failed) for outcome in outcomes),
        retried=sum(isinstance(outcome, Retried) for outcome in outcomes),
        jobs=[job for job in found if job is not None],
    )


def _raise_first(ended: list[tuple[Lease, Outcome]]) -> None:
    for lease, outcome in ended:
        if isinstance(outcome, Released) and outcome.unknown:
            path = lease.record.function
            raise JobFailed(lease.job_id, type="UnknownFunction", message=f"no {path} here", traceback="")
        if isinstance(outcome, Failed):
            kind = JobTimeout if outcome.type == "JobTimeout" else JobFailed
            error = kind(
                lease.job_id, type=outcome.type, message=outcome.message, traceback=outcome.traceback
            )
            error.add_note(outcome.traceback)
            raise error
