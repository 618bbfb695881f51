"""The job that runs here, and short ways to a job by its id."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Unpack

from aqueue._core.names import check_job_id, new_nonce
from aqueue._redis import operations
from aqueue.connection import Connection, SpaceOptions, open_namespace
from aqueue.jobs import Job

#: The job that runs in this context; set by the worker.
current_job: ContextVar[Job[Any] | None] = ContextVar("aqueue_current_job", default=None)


def get_current_job() -> Job[Any] | None:
    """The job that this code runs for, also in its child tasks and threads; None outside a job.

    In a thread its attributes can be read; I/O goes through `aqueue.sync.get_current_job()`.
    """
    return current_job.get()


async def cancel_job(
    job_id: str, connection: Connection | None = None, *, namespace: str | None = None
) -> None:
    """Cancel the job of this id; see `Job.cancel`."""
    space = open_namespace(connection, namespace=namespace)
    await space.client.run(operations.cancel(space.keys, check_job_id(job_id), nonce=new_nonce()))


async def requeue_job(
    job_id: str,
    connection: Connection | None = None,
    **options: Unpack[SpaceOptions],
) -> Job[Any]:
    """Enqueue the ended job of this id again; see `Job.requeue`. Two round trips."""
    job = await Job.fetch(job_id, connection, **options)
    await job.requeue()
    return job
