"""The process that runs jobs."""

from __future__ import annotations

#: Exit code: the process cannot go on as it is, start another one in its place.
RESTART = 75
