"""Loggers whose records are harmless, whatever handler the program has given them."""

from __future__ import annotations

import logging
from typing import Any

from aqueue._core.text import printable

_FORMATTER = logging.Formatter()


class _Harmless(logging.Filter):
    """Escapes what a record is given: ids and names come from Redis, messages from jobs."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all records pass."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_harmless, record.args))
        if record.exc_info and not record.exc_text:
            record.exc_text = printable(_FORMATTER.formatException(record.exc_info), keep="\n\t")
        return True


def _harmless(value: Any) -> Any:
    return value if isinstance(value, int | float) else printable(str(value))


_HARMLESS = _Harmless()


def get_logger(name: str) -> logging.Logger:
    """The logger of this name; what it is given cannot forge a line or write to a terminal."""
    logger = logging.getLogger(name)
    logger.addFilter(_HARMLESS)
    return logger
