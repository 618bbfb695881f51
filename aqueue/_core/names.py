"""What ids, names and numbers may look like, checked at every door.

Braces would move a key to another cluster slot; spaces and control characters would
break logs, terminals and replies that are lists of ids.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time

from aqueue.errors import SettingsError

_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")

#: Random parts of ids that are drawn at a time.
_DRAWN = 100
#: Digits of each: 68 bits.
_RANDOM = 17


def check_job_id(value: object) -> str:
    """The id itself.

    Raises:
        SettingsError: Not 1 to 128 characters of A-Z a-z 0-9 _ . : @ -
    """
    if isinstance(value, str) and is_job_id(value):
        return value
    raise SettingsError(f"job id {_shown(value)} is not 1 to 128 characters of A-Z a-z 0-9 _ . : @ -")


def check_name(value: object, what: str) -> str:
    """The name itself; `what` is "queue", "worker" or "namespace".

    Raises:
        SettingsError: Not 1 to 64 characters of A-Z a-z 0-9 _ . -
    """
    if isinstance(value, str) and is_name(value):
        return value
    raise SettingsError(f"{what} name {_shown(value)} is not 1 to 64 characters of A-Z a-z 0-9 _ . -")


def is_job_id(text: str) -> bool:
    """Whether it can be a job's id: what Redis lists may have been written by others."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether it can be a queue's name."""
    return _NAME.fullmatch(text) is not None


def _shown(value: object) -> str:
    """A hostile value as one short, printable line, even if its own repr() is a trap."""
    try:
        text = ascii(value)
    except Exception:
        text = f"of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def check_integer(value: object, name: str, least: int, most: int) -> int:
    """The integer itself.

    Raises:
        SettingsError: Not an integer, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise SettingsError(f"{name}={_shown(value)} must be an integer from {least:,} to {most:,}")
    return value


class _Ids:
    """Ids of jobs. Their random part is drawn for many at a time."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start anew; in a forked child what the parent has drawn would come a second time."""
        self._drawn: list[str] = []

    def next(self) -> str:
        """28 hex digits: 11 of the time and 17 random ones. Unique; ids sort by the time they were made.

        Redis keeps them and their keys in blocks of 16 bytes: a UUID would cost 32 bytes a job.
        """
        try:
            random = self._drawn.pop()  # in one step: other threads draw, too
        except IndexError:
            drawn = _draw(_DRAWN)
            random = drawn.pop()  # before others see them
            self._drawn = drawn
        return f"{time.time_ns() // 1_000_000:011x}{random}"


def _draw(count: int) -> list[str]:
    """The random digits of so many ids, an even number."""
    digits = os.urandom(_RANDOM * count // 2).hex()
    return [digits[at : at + _RANDOM] for at in range(0, len(digits), _RANDOM)]


class _Nonces:
    """Short names for calls, never the same twice: a random prefix per process, and a counter."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start anew; in a forked child the parent's prefix would repeat its nonces."""
        self._prefix = secrets.token_urlsafe(9)
        self._count = itertools.count()

    def next(self) -> str:
        return f"{self._prefix}{next(self._count):x}"


_ids = _Ids()
new_job_id = _ids.next
_nonces = _Nonces()
new_nonce = _nonces.next
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ids.renew)
    os.register_at_fork(after_in_child=_nonces.renew)
