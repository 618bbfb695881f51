"""`aqueue jobs`: the jobs in one registry, of all queues or some."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aqueue._core.names import check_integer, check_name
from aqueue.cli.ending import OK
from aqueue.cli.job_facts import age, row_facts
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import say, say_json
from aqueue.cli.overview import aligned
from aqueue.cli.text import first_line, shown_name, shown_when
from aqueue.errors import SettingsError
from aqueue.inspection import Listing, list_jobs
from aqueue.workers import COUNTED

#: Bounds of --limit and --offset: a page is held in memory, and with several queues all before it.
MOST_JOBS = 1_000
MOST_SKIPPED = 100_000

#: The instant that is told, by status; else when the job ended.
_WHEN = {"queued": "enqueued_at", "started": "started_at", "deferred": "created_at", "scheduled": "due_at"}
_WIDTHS = {"function": 60, "error": 120}


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsOptions:
    """The options of the command."""

    status: str
    queues: Sequence[str]
    limit: int
    offset: int
    newest: bool
    target: Target
    as_json: bool


async def jobs(options: JobsOptions) -> int:
    """List them; the exit code."""
    registry = _registry(options.status)
    check_integer(options.limit, "--limit", 1, MOST_JOBS)
    check_integer(options.offset, "--offset", 0, MOST_SKIPPED)
    queues = list(dict.fromkeys(check_name(name, "queue") for name in options.queues))
    with logging_to_stderr():
        await options.target.check()
        found = await list_jobs(
            registry, options.target.url, namespace=options.target.namespace, queues=queues or None,
            offset=options.offset, limit=options.limit, newest=options.newest,
        )  # fmt: skip
    facts = [row_facts(row) for row in found.rows]
    if options.as_json:
        say_json({"registry": options.status, "total": found.total, "jobs": facts})
    else:
        _print(options, found, facts)
    return OK


def _registry(status: str) -> str:
    if status in COUNTED:
        return COUNTED[status]
    if status == "stopped":
        raise SettingsError("stopped jobs lie among the failed ones: aqueue jobs failed")
    raise SettingsError(f"there is no registry {status!r}: name one of {', '.join(COUNTED)}")


def _print(options: JobsOptions, found: Listing, facts: Sequence[dict[str, Any]]) -> None:
    if facts:
        columns = ["id", "status", "queue", "function", "when"]
        if any(job["error"] for job in facts):
            columns.append("error")
        rows = [[cell(job, column, found.now_ms) for column in columns] for job in facts]
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        say("\n".join(line[:width] for line in aligned([columns, *rows]).splitlines()) + "\n")
    word = "job" if found.total == 1 else "jobs"
    line = f"{found.total:,} {options.status} {word}"
    end = options.offset + len(facts)
    if end < found.total and facts:
        line = f"{options.offset + 1:,} to {end:,} of {line}; more with --offset {end}"
    say(line)


def cell(job: dict[str, Any], column: str, now_ms: int) -> str:
    """A fact as text that a terminal can be given."""
    if column == "when":
        instant = job[_WHEN.get(job["status"], "ended_at")]
        return "-" if instant is None else shown_when(age(instant, now_ms))
    if column == "error":
        error = job["error"]
        text = f"{error['type']}: {first_line(error['message'])}" if error else ""
    else:
        text = str(job[column])
    return shown_name(text, _WIDTHS.get(column, 128))
