"""Bars for terminals. Imports rich, so commands import this late."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

BAR = "━"


@contextmanager
def progress_bar(title: str, total: int) -> Generator[Callable[[int], None]]:
    """A bar on standard error; what it yields moves it on by so many."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)


def share_bar(parts: Sequence[tuple[int, str]], whole: int, width: int) -> Text:
    """A bar of coloured parts, (count, style) each; `whole` fills the width, and each part can be seen."""
    seen = [(count, style) for count, style in parts if count > 0]
    lengths = [max(1, round(width * count / whole)) for count, _ in seen]
    while sum(lengths) > max(width, len(lengths)):
        lengths[lengths.index(max(lengths))] -= 1
    bar = Text(no_wrap=True, overflow="crop")
    for length, (_, style) in zip(lengths, seen, strict=True):
        bar.append(BAR * length, style)
    return bar
