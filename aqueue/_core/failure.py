"""What an exception was, as text. Building it cannot fail, whatever the exception does when looked at."""

from __future__ import annotations

import traceback
from collections.abc import Callable

from aqueue._core.outcome import Failed

#: The longest traceback, message and class name that are kept, characters.
MAX_TRACEBACK = 32_768
MAX_MESSAGE = 2_048
MAX_TYPE = 256


def describe_exception(error: BaseException, *, hide: str | None = None) -> Failed:
    """Type, message and traceback of an exception.

    Args:
        hide: A source file of ours whose frames at the top of the stack are told to nobody.
    """
    kind = _cut(_safely(lambda: type(error).__name__) or "Exception", MAX_TYPE)
    message = _cut(_safely(lambda: str(error)) or "", MAX_MESSAGE)
    last = f"{kind}: {message}" if message else kind
    text = _safely(lambda: _traceback(error, hide))
    if not text:
        text = last
    elif not text.endswith(last):  # notes, or the module's name before the class
        text = f"{text}\n{last}"
    return Failed(kind, message, _cut(text, MAX_TRACEBACK))


def _traceback(error: BaseException, hide: str | None) -> str:
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == hide:
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb)).rstrip("\n")


def _safely(make: Callable[[], str]) -> str:
    """Text from hostile code: its `__str__` may raise anything, or return lone surrogates."""
    try:
        return make().encode("utf-8", "backslashreplace").decode()
    except BaseException:
        return "(its message cannot be shown)"


def _cut(text: str, limit: int) -> str:
    """Keep the head and the tail: the call that led here, and what happened."""
    if len(text) <= limit:
        return text
    middle = f"\n... {len(text) - limit:,} characters left out ...\n"
    head = (limit - len(middle)) // 2
    return text[:head] + middle + text[len(text) - (limit - len(middle) - head) :]
