"""Count executions that were given up but run on: only a new process gives their slots back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aqueue.worker.running import Execution

#: Jobs that a message names.
_NAMED = 10


class Zombies:
    """The zombies of a worker that are old enough to count."""

    def __init__(self, limit: int, patience: float, too_many: Callable[[str], None]) -> None:
        """Count zombies.

        Args:
            limit: So many are borne.
            patience: Seconds that code may still take to end after it was given up.
            too_many: Called with what to tell the user.
        """
        self._limit = limit
        self._patience = patience
        self._too_many = too_many
        self._found: list[Execution] = []
        self._is_over = False

    def notice(self, execution: Execution) -> None:
        """An execution has been given up while its code runs."""
        asyncio.get_running_loop().call_later(self._patience, self._look, execution)

    def stop(self) -> None:
        """Count no more."""
        self._is_over = True

    def _look(self, execution: Execution) -> None:
        self._found = [found for found in (*self._found, execution) if not found.is_over]
        if len(self._found) <= self._limit or self._is_over:
            return
        self._is_over = True
        ids = ", ".join(found.lease.job_id for found in self._found[:_NAMED])
        more = "" if len(self._found) <= _NAMED else f" and {len(self._found) - _NAMED} more"
        self._too_many(
            f"{len(self._found)} jobs were given up, but their code still runs, "
            f"more than max_zombies={self._limit}: {ids}{more}"
        )
