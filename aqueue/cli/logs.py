"""Logs on standard error: one readable line each, whatever a message contains."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

from aqueue.cli.text import printable

_COLORS = {logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "31"}


class LineFormatter(logging.Formatter):
    """`time level message`; tracebacks and stacks follow on lines of their own."""

    def __init__(self, *, colored: bool = False) -> None:
        super().__init__(datefmt="%Y-%m-%d %H:%M:%S")
        self._colored = colored

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without control characters."""
        level = f"{record.levelname:<7}"
        if self._colored and record.levelno in _COLORS:
            level = f"\x1b[{_COLORS[record.levelno]}m{level}\x1b[0m"
        line = f"{self.formatTime(record, self.datefmt)} {level} {printable(record.getMessage())}"
        if record.exc_info:
            line += "\n" + printable(self.formatException(record.exc_info), keep="\n\t")
        if record.stack_info:
            line += "\n" + printable(record.stack_info, keep="\n\t")
        return line


class StderrHandler(logging.Handler):
    """Writes to what is `sys.stderr` at the time: a progress bar puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:
            self.handleError(record)


@contextmanager
def logging_to_stderr(*, root: int = logging.WARNING, own: int = logging.WARNING) -> Generator[None]:
    """Send the logs of this process to standard error: everybody's from `root` on, aqueue's from `own` on."""
    handler = StderrHandler()
    handler.setFormatter(LineFormatter(colored=_wants_color()))
    loggers = {logging.getLogger(): root, logging.getLogger("aqueue"): own}
    before = {logger: logger.level for logger in loggers}
    for logger, level in loggers.items():
        logger.setLevel(level)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def muted_logs() -> Generator[None]:
    """Say nothing in aqueue's logs for the moment: the caller says it better."""
    logger = logging.getLogger("aqueue")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _wants_color() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
