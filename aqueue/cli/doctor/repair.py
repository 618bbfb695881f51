"""`aqueue doctor --repair`: mend the data, and tell what was done."""

from __future__ import annotations

from aqueue.cli.doctor.data import NEEDED, damages, judge_data, look_through
from aqueue.cli.doctor.showing import shown
from aqueue.cli.ending import FAILED, OK, REFUSED, complain
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import say, say_json
from aqueue.errors import QueueUnavailable


async def repair(target: Target, *, as_json: bool) -> int:
    """Mend; the exit code."""
    with logging_to_stderr():
        await target.check()
        try:
            seen = await look_through(target, repair=True)
        except QueueUnavailable as error:
            if not error.refused:
                raise
            complain(f"{error}; besides what workers may do, mending takes {NEEDED}")
            return REFUSED
    mended = seen.found - seen.left
    if as_json:
        say_json({"mended": mended, "left": seen.left, "damage": damages(seen)})
    else:
        say("\n".join(map(shown, judge_data(seen, repair=True))))
        say(f"\n{mended:,} mended, {seen.left:,} left")
    return FAILED if seen.left else OK
