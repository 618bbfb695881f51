"""How much memory this process holds, and the word when it is too much."""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from collections.abc import Callable

from aqueue.errors import SettingsError

#: Seconds between two looks.
LOOK = 1.0

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def resident_bytes() -> int:
    """Memory that this process holds now; where the system does not say, the most that it ever held."""
    try:
        with open("/proc/self/statm", "rb") as facts:
            return int(facts.read().split()[1]) * resource.getpagesize()
    except OSError:  # also: too many open files
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def check_max_rss(size: int | str) -> int:
    """A limit in bytes: a number, or text like "512M" or "1.5G", in powers of 1,024.

    Raises:
        SettingsError: No size, or less than this process holds already.
    """
    found = None if isinstance(size, bool) else _SIZE.fullmatch(str(size))
    if found is None:
        raise SettingsError(f"max_rss={size!r} is not a size: give bytes, or text like '512M' or '1.5G'")
    limit = int(float(found[1]) * _UNITS[found[2].upper()])
    now = resident_bytes()
    if limit <= now:
        raise SettingsError(f"max_rss={size!r} is too small: this process holds {_shown(now)} before any job")
    return limit


async def watch_memory(limit: int, too_much: Callable[[str], None]) -> None:
    """Wait until the process holds more than the limit, and say so once."""
    while True:
        now = resident_bytes()
        if now > limit:
            too_much(f"it holds {_shown(now)} of memory, more than max_rss={_shown(limit)}")
            return
        await asyncio.sleep(LOOK)


def _shown(size: int) -> str:
    return f"{size / (1 << 20):,.0f}M"
