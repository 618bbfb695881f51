"""A finding as lines of text."""

from __future__ import annotations

from aqueue.cli.doctor.finding import Finding, Level
from aqueue.cli.output import colored
from aqueue.cli.text import printable

_COLORS: dict[Level, str] = {"ok": "32", "advice": "33", "problem": "31", "mended": "32", "unknown": "2"}


def shown(finding: Finding) -> str:
    """What was seen, why it matters, and what to change or what was done."""
    level = colored(f"{finding.level:<8}", _COLORS[finding.level])
    lines = [f"{level} {finding.check:<12} {printable(finding.seen)}"]
    if finding.why:
        act = "done" if finding.level == "mended" else "change"
        lines += [f"{'':22}why: {printable(finding.why)}", f"{'':22}{act}: {printable(finding.change)}"]
    return "\n".join(lines)
