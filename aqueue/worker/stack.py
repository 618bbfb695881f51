"""What a thread does at this moment, as the text of its stack."""

from __future__ import annotations

import asyncio.events
import logging
import os
import sys
import traceback
from dataclasses import dataclass

from aqueue._core.logs import get_logger

logger: logging.Logger = get_logger("aqueue.worker")

#: The innermost frames that are shown, and the characters of a line.
MAX_FRAMES = 32
MAX_LINE = 200

#: Frames up to the last one in these files say only how the loop came to the job's code.
_OURS = (os.path.dirname(__file__) + os.sep, asyncio.events.__file__)
#: Modules in which somebody sits who looks at the code.
_DEBUGGERS = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle", "debugpy"})


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack of a thread."""

    #: As in a traceback, the innermost call last.
    text: str
    #: The code stands in a debugger.
    is_debugged: bool

    def log(self, level: int, message: str, *args: object) -> None:
        """Log a message with the stack on the lines below it."""
        if logger.isEnabledFor(level):
            record = logger.makeRecord(logger.name, level, __file__, 0, message, args, None, sinfo=self.text)
            logger.handle(record)


def stack_of(thread: int) -> Stack:
    """The stack of the thread of this id, which may go on meanwhile."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return Stack("  (the thread has ended)", False)
    modules = {inner.f_globals.get("__name__", "") for inner, _ in traceback.walk_stack(frame)}
    frames = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=MAX_FRAMES)[::-1]
    ours = [place for place, frame in enumerate(frames, 1) if frame.filename.startswith(_OURS)]
    shown = frames[ours[-1] :] if ours else frames
    lines = "".join(traceback.format_list(shown or frames)).rstrip("\n").split("\n")
    text = "\n".join(line[:MAX_LINE] for line in lines).encode("utf-8", "backslashreplace").decode()
    return Stack(text, any(str(name).partition(".")[0] in _DEBUGGERS for name in modules))
