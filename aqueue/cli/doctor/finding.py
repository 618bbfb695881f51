"""`Finding`: one thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: "mended": it was a problem until now; "unknown": the server does not tell.
Level = Literal["ok", "advice", "problem", "mended", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen; unless it is fine, why it matters and what to change."""

    level: Level
    check: str
    seen: str
    why: str = ""
    change: str = ""
