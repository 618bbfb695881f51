"""Text for terminals: what came from elsewhere made harmless, and numbers made readable."""

from __future__ import annotations

from aqueue._core.text import printable as printable

#: Characters of a name that are shown.
NAME_WIDTH = 64


def shown_name(text: str, width: int = NAME_WIDTH) -> str:
    """A name from Redis: printable, and not endless."""
    safe = printable(text[: 4 * width])
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def first_line(text: str) -> str:
    """The first line that says something, printable."""
    return printable(next((line.strip() for line in text.splitlines() if line.strip()), ""))


def plural(count: int, noun: str) -> str:
    """ "1 job", "2,000 jobs"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def shown_age(seconds: float) -> str:
    """A time span in one unit: "4 s", "3 min", "2 h", "5 d"."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def shown_when(age: float) -> str:
    """An instant by its age in seconds: "4 s ago", "in 3 min"."""
    return f"{shown_age(age)} ago" if age >= 0 else f"in {shown_age(-age)}"
