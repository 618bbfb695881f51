"""Durations and instants: what users write and read, and the integer milliseconds that Redis holds.

The only place that converts. Redis' own clock (`TIME`) decides when things happen; the
client's clock serves only to turn an instant into a delay.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

from aqueue._core.names import _shown
from aqueue.errors import SettingsError

#: What every duration parameter takes: seconds, "90", "500ms", "3m", "1h30m", "2d", or a timedelta.
Duration = int | float | str | timedelta

#: The longest duration, 1,000 years: sums of it with a date stay exact in Redis' doubles.
LONGEST_MS = 31_557_600_000_000

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def to_ms(value: Duration, name: str, *, zero: bool = False) -> int:
    """Milliseconds of a duration, rounded up, so that a positive one never becomes zero.

    Args:
        name: The parameter, for the error's text.
        zero: Whether zero is allowed.

    Raises:
        SettingsError: Not a duration, negative, zero where it has no meaning, or over 1,000 years.
    """
    number = _parse(value)
    given = f"{name}={_shown(value)}"
    if number is None or number != number:  # the latter: nan
        raise SettingsError(f'{given} is not a duration: give seconds, "3m", "1h30m" or a timedelta')
    if number < 0 or (number == 0 and not zero):
        raise SettingsError(f"{given} must be {'zero or more' if zero else 'more than zero'}")
    if number > LONGEST_MS:
        raise SettingsError(f"{given} is longer than 1,000 years")
    return math.ceil(round(number, 3) or number)  # 0.1 + 0.2 s are 300 ms


def _parse(value: Duration) -> float | None:
    """Milliseconds, possibly fractional, or None when the value is no duration."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value * 1000
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    if not isinstance(value, str) or len(value) > 64:  # pyright: ignore[reportUnnecessaryIsInstance]
        return None
    text = value.replace(" ", "").lower()
    if _NUMBER.fullmatch(text):
        return float(text) * 1000
    parts = _PART.findall(text)
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        return None
    return sum(float(amount) * _UNITS[unit] for amount, unit in parts)


def to_seconds(ms: int) -> int | float:
    """Seconds: an int when whole, else a float."""
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def to_instant(ms: int) -> datetime:
    """An aware UTC datetime; instants outside Python's range are cut to its ends."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC) if ms > 0 else datetime.min.replace(tzinfo=UTC)


def now_ms() -> int:
    """This machine's clock, unix milliseconds."""
    return int(datetime.now(UTC).timestamp() * 1000)


def delay_until(when: datetime, name: str) -> int:
    """Milliseconds from now to `when`, 0 if it has passed. A naive datetime is local time.

    Raises:
        SettingsError: Not a datetime, or more than 1,000 years ahead.
    """
    if not isinstance(when, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"{name}={_shown(when)} is not a datetime; for a delay use enqueue_in")
    try:
        delay = math.ceil((when.astimezone(UTC) - datetime.now(UTC)) / timedelta(milliseconds=1))
    except (OverflowError, ValueError, OSError) as error:
        raise SettingsError(f"{name}={_shown(when)} cannot be converted to UTC: {error}") from None
    if delay > LONGEST_MS:
        raise SettingsError(f"{name}={_shown(when)} is more than 1,000 years ahead")
    return max(0, delay)
