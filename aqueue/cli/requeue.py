"""`aqueue requeue`: enqueue ended jobs again, by their ids or all that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aqueue._core.serializers import OPAQUE
from aqueue.cli.ids import REQUEUE, Report, handle
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import progress
from aqueue.errors import SettingsError
from aqueue.failed import FailedQueue, get_failed_queue
from aqueue.jobs import Job
from aqueue.queue import Queue
from aqueue.registry import FailedJobRegistry


@dataclass(frozen=True, kw_only=True, slots=True)
class RequeueOptions:
    """The options of the command."""

    ids: Sequence[str]
    target: Target
    queue: str | None
    all: bool
    as_json: bool


async def requeue(options: RequeueOptions) -> int:
    """Requeue and tell how it went; the exit code."""
    if options.all == bool(options.ids):
        raise SettingsError("name the jobs to requeue, or say --all for all failed ones (not both)")
    with logging_to_stderr():
        await options.target.check()
        report = await (_requeue_all(options) if options.all else _requeue_ids(options))
    return report.tell(as_json=options.as_json, where=f" in queue {options.queue}" if options.queue else "")


async def _requeue_all(options: RequeueOptions) -> Report:
    target = options.target
    failed: FailedQueue | FailedJobRegistry
    if options.queue is None:
        failed = get_failed_queue(target.url, namespace=target.namespace)
    else:
        failed = Queue(
            options.queue, target.url, namespace=target.namespace, serializer=OPAQUE
        ).failed_job_registry
    with progress(REQUEUE.title, await failed.count()) as advance:
        return Report(REQUEUE, {"ok": await failed.requeue_all(progress=advance)})


async def _requeue_ids(options: RequeueOptions) -> Report:
    target = options.target
    queue = Queue(options.queue or "default", target.url, namespace=target.namespace, serializer=OPAQUE)

    async def act(batch: Sequence[str]) -> Mapping[str, str]:
        found = await Job.fetch_many(batch, target.url, namespace=target.namespace)
        here = [job.id for job in found if job is not None and options.queue in (None, job.origin)]
        words = await queue.failed_job_registry.requeue_many(here)
        return {job_id: words.get(job_id, "missing") for job_id in batch}

    return await handle(REQUEUE, options.ids, act)
