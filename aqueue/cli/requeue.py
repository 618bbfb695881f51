"""`aqueue requeue`: enqueue ended jobs again, by their ids or all that failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from aqueue.cli.ending import FAILED, NOT_FOUND, OK, complain
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.text import plural, printable
from aqueue.errors import SettingsError
from aqueue.failed import FailedQueue, get_failed_queue
from aqueue.jobs import Job
from aqueue.queue import Queue
from aqueue.registry import FailedJobRegistry

#: Ids per call, so that a bar moves.
_BATCH = 100

Advance = Callable[[int], None]


@dataclass(slots=True)
class Report:
    """What became of the ids."""

    requeued: int = 0
    #: Ids without a job in the queue that was named, or anywhere.
    not_found: list[str] = field(default_factory=list[str])
    #: id -> the status that forbids it.
    refused: dict[str, str] = field(default_factory=dict[str, str])


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
    if options.as_json:
        result = {"requeued": report.requeued, "not_found": report.not_found, "refused": report.refused}
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(f"{plural(report.requeued, 'job')} requeued\n")
    return _tell(report, options.queue)


def _tell(report: Report, queue: str | None) -> int:
    where = f" in queue {queue}" if queue else ""
    for job_id in report.not_found:
        complain(f"no job {job_id}{where}: never enqueued here, deleted, or past its time")
    for job_id, status in report.refused.items():
        complain(f"cannot requeue job {job_id}: it is {printable(status)}")
    if report.not_found:
        return NOT_FOUND
    return FAILED if report.refused else OK


async def _requeue_all(options: RequeueOptions) -> Report:
    target = options.target
    failed: FailedQueue | FailedJobRegistry
    if options.queue is None:
        failed = get_failed_queue(target.url, namespace=target.namespace)
    else:
        failed = Queue(options.queue, target.url, namespace=target.namespace).failed_job_registry
    with _progress(await failed.count()) as advance:
        return Report(await failed.requeue_all(progress=advance))


async def _requeue_ids(options: RequeueOptions) -> Report:
    target = options.target
    queue = Queue(options.queue or "default", target.url, namespace=target.namespace)
    ids = list(dict.fromkeys(options.ids))
    report = Report()
    with _progress(len(ids)) as advance:
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            found = await Job.fetch_many(batch, target.url, namespace=target.namespace)
            here = [job.id for job in found if job is not None and options.queue in (None, job.origin)]
            words = await queue.failed_job_registry.requeue_many(here)
            _add(report, {job_id: words.get(job_id, "missing") for job_id in batch})
            advance(len(batch))
    return report


def _add(report: Report, words: dict[str, str]) -> None:
    for job_id, word in words.items():
        if word == "ok":
            report.requeued += 1
        elif word == "missing":
            report.not_found.append(job_id)
        else:
            report.refused[job_id] = word


def _progress(total: int) -> AbstractContextManager[Advance]:
    """A bar on standard error, at a terminal only."""
    if total < 1 or not sys.stderr.isatty():
        return nullcontext(lambda count: None)
    from aqueue.cli.bars import progress_bar  # rich takes a while to import

    return progress_bar("requeuing", total)
