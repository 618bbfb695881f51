"""`aqueue info`: the queues and workers of a namespace, once or again and again."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aqueue._core.clock import to_ms
from aqueue._core.names import check_name
from aqueue.cli.ending import OK
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.overview import WORKER_COLUMNS, Overview, QueueInfo, aligned, job_lines, worker_cells
from aqueue.cli.text import shown_name
from aqueue.workers import WorkerInfo, all_workers, paused_queues, queue_counts


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoOptions:
    """The options of the command."""

    queues: Sequence[str]
    target: Target
    as_json: bool
    interval: str | None


async def info(options: InfoOptions) -> int:
    """Show it, once or until interrupted; the exit code."""
    pause = None if options.interval is None else to_ms(options.interval, "--interval") / 1000
    for name in options.queues:
        check_name(name, "queue")
    with logging_to_stderr():
        await options.target.check()
        try:
            with _screen(options) as show:
                show(await overview(options))
                while pause is not None:
                    await asyncio.sleep(pause)
                    show(await overview(options))
        except asyncio.CancelledError:  # Ctrl-C is the way to end it
            if pause is None:
                raise
    return OK


async def overview(options: InfoOptions) -> Overview:
    """Read it. Five round trips."""
    url, namespace = options.target.url, options.target.namespace
    counts = await queue_counts(url, namespace=namespace, names=list(dict.fromkeys(options.queues)) or None)
    paused = await paused_queues(url, namespace=namespace, names=list(counts))
    workers = await all_workers(url, namespace=namespace)
    if options.queues:
        workers = [worker for worker in workers if set(worker.queues) & set(options.queues)]
    return Overview([QueueInfo(name, name in paused, found) for name, found in counts.items()], workers)


Show = Callable[[Overview], None]


def _screen(options: InfoOptions) -> AbstractContextManager[Show]:
    if options.as_json:
        return nullcontext(_print_json)
    if not sys.stdout.isatty():
        return nullcontext(_print_plain)
    from aqueue.cli.info_screen import screen  # rich takes a while to import

    return screen(live=options.interval is not None)


def _print_json(found: Overview) -> None:
    document = {
        "queues": [{"name": queue.name, "paused": queue.paused, **queue.counts} for queue in found.queues],
        "workers": [_worker_fields(worker) for worker in found.workers],
    }
    _write(json.dumps(document))


def _worker_fields(worker: WorkerInfo) -> dict[str, Any]:
    fields = dataclasses.asdict(worker)
    for name in ("birth_date", "last_heartbeat"):
        instant: datetime | None = fields[name]
        fields[name] = instant and instant.isoformat()
    return {**fields, "silent": worker.is_silent}


def _print_plain(found: Overview) -> None:
    columns = found.columns
    queues = [
        [shown_name(queue.name), *(str(queue.counts[column]) for column in columns)]
        + (["paused"] if queue.paused else [])
        for queue in found.queues
    ]
    if queues:
        _write(aligned([["queue", *columns], *queues], numbers=range(1, len(columns) + 1)) + "\n")
    if found.workers:
        rows = [worker_cells(worker) for worker in found.workers]
        table = aligned([list(WORKER_COLUMNS), *rows], numbers=range(4, 8))
        _write("\n".join([table, *job_lines(found.workers), ""]))
    _write(found.summary)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
