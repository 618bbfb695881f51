"""What the demo shows: colours and bars at a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from aqueue.cli.bars import progress_bar, share_bar
from aqueue.cli.demo.files import Found
from aqueue.cli.text import first_line, plural, printable
from aqueue.jobs import Job

_TOP = 10
_BAR = 24

#: What to type next; with a tasks.py it runs as it stands.
_YOUR_TURN = """
    # main.py
    import asyncio
    from aqueue import Queue
    from tasks import count_words        # any function of a module

    async def main():
        queue = Queue("default", connection="embedded://")    # or redis://
        job = await queue.enqueue(count_words, "README.md")
        print(await job.wait(timeout=10))

    asyncio.run(main())

    $ aqueue worker -u embedded://       # in another terminal
"""


class Screen:
    """Tells the story."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._console = Console(highlight=False)

    def begin(self) -> None:
        """What is going to be done."""
        files = plural(len(self._found.paths), "file")
        self._say(f"Counting the words of {files} in {printable(str(self._found.root))}", "bold")
        for remark in self._found.remarks:
            self._say(f"  {remark}", "yellow")

    def opened(self, command: str, pid: int, seconds: float) -> None:
        """The server and the worker are there."""
        self._say("  server  Valkey in a temporary folder")
        self._say(f"  worker  {command}, process {pid}")
        self._say(f"  both were ready after {seconds:.1f} s", "dim")

    def progress(self, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A bar, at a terminal only."""
        if sys.stderr.isatty():
            return progress_bar("  jobs  ", total)
        return nullcontext(lambda count: None)

    def counted(self, counts: Mapping[Path, int], errors: Mapping[Path, str], seconds: float) -> None:
        """What the jobs found."""
        self._say(f"  {plural(len(counts) + len(errors), 'job')} done in {seconds:.2f} s\n")
        self._row("words", "file", style="bold")
        top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_TOP]
        most = max([words for _, words in top] or [0])
        for path, words in top:
            self._row(f"{words:,}", self._short(path), words / most if most else 0, style="green")
        rest = sum(counts.values()) - sum(words for _, words in top)
        if len(counts) > len(top):
            self._row(f"{rest:,}", plural(len(counts) - len(top), "more file"), style="dim")
        self._row(f"{sum(counts.values()):,}", "in all", style="bold")
        if errors:
            path, message = next(iter(errors.items()))
            files = plural(len(errors), "file")
            self._say(f"  {files} could not be counted, such as {self._short(path)}:", "red")
            self._say(f"  {first_line(message)}", "red")

    def _row(self, number: str, name: str, share: float = 0, *, style: str) -> None:
        line = Text().append(f"{number:>9}  ", style)
        if self._console.is_terminal:
            length = max(1, round(share * _BAR)) if share else 0
            line.append(share_bar([(length, style)], _BAR, _BAR)).append(" " * (_BAR - length) + "  ")
        self._show(line.append(name, "" if share else style))

    def failed(self, job: Job[Any], traceback: str, count: int) -> None:
        """A job failed."""
        self._say("\nA job that fails: its file does not exist", "bold")
        self._say(f"  {printable(job.description)}")
        self._say(f"  {printable(traceback.rstrip().splitlines()[-1])}", "red")
        self._say(f"  kept in the failed registry, with {plural(count, 'job')} now")

    def mended(self, job: Job[Any], words: int) -> None:
        """It was requeued and ran again."""
        self._say("\nThe file is made, and the job requeued from the failed registry", "bold")
        self._say(f"  {job.status}: {plural(words, 'word')}", "green")

    def end(self) -> None:
        """What to do next."""
        self._say("\nThe same in a program of yours:", "bold")
        self._say(_YOUR_TURN.rstrip())

    def _short(self, path: Path) -> str:
        try:
            return printable(str(path.relative_to(self._found.root.absolute())))
        except ValueError:
            return printable(str(path))

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    def _show(self, line: Text) -> None:
        """One line of a table: cut at a terminal, whole elsewhere."""
        if self._console.is_terminal:
            self._console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            self._console.print(line, soft_wrap=True)
