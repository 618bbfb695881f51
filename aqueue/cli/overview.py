"""What `aqueue info` shows, and how it becomes cells and columns of text. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aqueue.cli.text import plural, shown_age, shown_name
from aqueue.workers import COUNTED, WorkerInfo

#: Counts that are always shown; the others when some queue has such jobs.
ALWAYS_SHOWN = ("queued", "started", "finished", "failed")


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """A queue as the command shows it."""

    name: str
    paused: bool
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """What is shown."""

    queues: Sequence[QueueInfo]
    workers: Sequence[WorkerInfo]

    @property
    def columns(self) -> list[str]:
        """The counts worth a column."""
        return [
            status
            for status in COUNTED
            if status in ALWAYS_SHOWN or any(queue.counts[status] for queue in self.queues)
        ]

    @property
    def summary(self) -> str:
        """All of it in one line."""
        waiting = sum(queue.counts["queued"] for queue in self.queues)
        running = sum(queue.counts["started"] for queue in self.queues)
        return (
            f"{plural(len(self.queues), 'queue')}, {plural(len(self.workers), 'worker')}, "
            f"{plural(waiting, 'job')} queued, {running:,} running"
        )


#: How many jobs of a worker are named.
SHOWN_JOBS = 3

#: What is told of a worker.
WORKER_COLUMNS = ("worker", "host", "pid", "state", "running", "finished", "failed", "heartbeat", "queues")


def worker_cells(worker: WorkerInfo) -> list[str]:
    """A worker's row, harmless."""
    return [
        shown_name(worker.name),
        shown_name(worker.hostname),
        str(worker.pid),
        "silent" if worker.is_silent else shown_name(worker.state),
        f"{worker.running}/{worker.concurrency}",
        str(worker.successful_job_count),
        str(worker.failed_job_count),
        f"{shown_age(worker.heartbeat_age)} ago",
        ",".join(shown_name(name) for name in worker.queues),
    ]


def job_lines(workers: Sequence[WorkerInfo]) -> list[str]:
    """What each busy worker runs, harmless: the oldest jobs, and how many more."""
    lines: list[str] = []
    for worker in workers:
        shown = [shown_name(job_id) for job_id in worker.current_job_ids[:SHOWN_JOBS]]
        more = max(worker.running, len(worker.current_job_ids)) - len(shown)
        if shown:
            rest = f" and {more:,} more" if more else ""
            lines.append(f"{shown_name(worker.name)} runs {', '.join(shown)}{rest}")
    return lines


def aligned(rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Rows as lines of columns; those named in `numbers` are aligned to the right."""
    columns = max(len(row) for row in rows)
    padded = [[*row, *[""] * (columns - len(row))] for row in rows]
    widths = [max(len(row[column]) for row in padded) for column in range(columns)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in padded
    )
