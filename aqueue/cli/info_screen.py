"""The overview of `aqueue info` at a terminal: tables with bars. Imports rich, so it is imported late."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aqueue.cli.bars import share_bar
from aqueue.cli.overview import WORKER_COLUMNS, Overview, QueueInfo, job_lines, worker_cells
from aqueue.cli.text import shown_name

#: Colours of the counts and of their parts of the bars.
_STYLES = {
    "queued": "yellow",
    "scheduled": "cyan",
    "started": "blue",
    "finished": "green",
    "failed": "red",
    "deferred": "magenta",
    "canceled": "bright_black",
    "expired": "bright_black",
}
_STATES = {"busy": "green", "stopping": "yellow", "silent": "red", "stalled": "red"}
_RIGHT = {"pid", "running", "finished", "failed", "heartbeat"}
#: Texts of the workers' own, and how much of them is shown.
_CUT = {"worker": 20, "host": 20, "state": 8}

_LONGEST_BAR = 40
_SHORTEST_BAR = 8
_LONGEST_NAME = 24
_GAP = 2
#: In fewer columns than this, a worker's host and pid are left out.
_WIDE = 100


@contextmanager
def screen(*, live: bool) -> Generator[Callable[[Overview], None]]:
    """What shows an overview: once, or each in the place of the one before."""
    console = Console(highlight=False)
    if not live:
        yield lambda found: console.print(picture(found, console.width))
        return
    with Live(console=console, auto_refresh=False) as display:
        yield lambda found: display.update(picture(found, console.width), refresh=True)


def picture(found: Overview, width: int) -> RenderableType:
    """The overview for a terminal of so many columns."""
    parts: list[RenderableType] = []
    if found.queues:
        parts += [_queues(found, width), ""]
    if found.workers:
        parts += [_workers(found, width), *map(Text, job_lines(found.workers)), ""]
    return Group(*parts, Text(found.summary, style="bold"))


def _table() -> Table:
    return Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")


def _queues(found: Overview, width: int) -> Table:
    columns = found.columns
    bar = _bar_width(found, width)
    table = _table()
    table.add_column("queue", no_wrap=True, overflow="ellipsis")
    if bar:
        table.add_column("", no_wrap=True, width=bar)
    for column in columns:
        table.add_column(
            Text(column, _STYLES[column]),
            justify="right",
            no_wrap=True,
            min_width=_count_width(found, column),
        )
    most = max(sum(queue.counts.values()) for queue in found.queues) or 1
    for queue in found.queues:
        parts = [(queue.counts[column], _STYLES[column]) for column in columns]
        bars = [share_bar(parts, most, bar)] if bar else []
        table.add_row(_name(queue), *bars, *(_count(queue.counts[column], column) for column in columns))
    return table


def _bar_width(found: Overview, width: int) -> int:
    """What the names and the counts leave, or nothing."""
    names = max(5, *(_name(queue).cell_len for queue in found.queues))
    counts = sum(_GAP + _count_width(found, column) for column in found.columns)
    room = min(width - names - counts - 2 * _GAP, _LONGEST_BAR)
    return room if room >= _SHORTEST_BAR else 0


def _count_width(found: Overview, column: str) -> int:
    return max(len(column), *(len(f"{queue.counts[column]:,}") for queue in found.queues))


def _name(queue: QueueInfo) -> Text:
    name = Text(shown_name(queue.name, _LONGEST_NAME))
    return name.append(" paused", "yellow") if queue.paused else name


def _count(count: int, column: str) -> Text:
    return Text(f"{count:,}", style=_STYLES[column]) if count else Text("0", style="dim")


def _workers(found: Overview, width: int) -> Table:
    columns = [name for name in WORKER_COLUMNS if width >= _WIDE or name not in ("host", "pid")]
    table = _table()
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in _RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=None
            if column in ("worker", "host", "queues")
            else max(len(column), _CUT.get(column, 0)),
        )
    for worker in found.workers:
        cells = dict(zip(WORKER_COLUMNS, worker_cells(worker), strict=True))
        texts = {name: Text(shown_name(cell, _CUT.get(name, len(cell)))) for name, cell in cells.items()}
        texts["state"].stylize(_STATES.get(cells["state"], ""))
        table.add_row(*(texts[column] for column in columns))
    return table
