"""The job that runs here, and short ways to a job by its id; see `aqueue.current`."""

from __future__ import annotations

from typing import Any, Unpack

from aqueue import current
from aqueue.connection import Connection, SpaceOptions
from aqueue.sync.driving import drive, refuse_in_coroutine
from aqueue.sync.jobs import Job


def get_current_job() -> Job[Any] | None:
    """The job that this function runs for; None outside a job. No I/O.

    Raises:
        RuntimeError: Called in a coroutine: there it is `aqueue.get_current_job()`.
    """
    refuse_in_coroutine("get_current_job()")
    job = current.get_current_job()
    return None if job is None else Job(job)


def cancel_job(job_id: str, connection: Connection | None = None, *, namespace: str | None = None) -> None:
    """Cancel the job of this id; see `Job.cancel`."""
    drive(current.cancel_job(job_id, connection, namespace=namespace), "aqueue")


def requeue_job(
    job_id: str,
    connection: Connection | None = None,
    **options: Unpack[SpaceOptions],
) -> Job[Any]:
    """Enqueue the ended job of this id again; see `Job.requeue`."""
    return Job(drive(current.requeue_job(job_id, connection, **options), "aqueue"))
