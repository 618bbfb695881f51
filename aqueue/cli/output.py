"""Data on standard output, and bars on standard error for work that takes long."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

Advance = Callable[[int], None]


def say(text: str) -> None:
    """One or more lines of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_json(document: Any) -> None:
    """A document on a line of its own, in ASCII: nothing in it can write to a terminal as it likes."""
    say(json.dumps(document))


def colored(text: str, code: str) -> str:
    """The text in a colour, at a terminal that shows any."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if is_plain else f"\x1b[{code}m{text}\x1b[0m"


def progress(title: str, total: int) -> AbstractContextManager[Advance]:
    """A bar on standard error, at a terminal only."""
    if total < 1 or not sys.stderr.isatty():
        return nullcontext(lambda count: None)
    from aqueue.cli.bars import progress_bar  # rich takes a while to import

    return progress_bar(title, total)
