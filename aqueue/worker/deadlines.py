"""One timer for the deadlines of all executions: a timeout object each would cost more than a small job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aqueue.worker.running import Execution, Running


class Deadlines:
    """Calls back when an execution's deadline has passed."""

    def __init__(self, running: Running, passed: Callable[[Execution], None]) -> None:
        self._running = running
        self._passed = passed
        self._timer: asyncio.TimerHandle | None = None
        self._at = float("inf")

    def set(self, execution: Execution, deadline: float | None) -> None:
        """Give an execution a deadline, in the loop's time."""
        execution.deadline = deadline
        if deadline is not None and deadline < self._at:
            self._arm(deadline)

    def stop(self) -> None:
        """Call back no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._at = None, float("inf")

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        self._timer = asyncio.get_running_loop().call_at(at, self._fire)

    def _fire(self) -> None:
        """Look at all executions; there are at most as many as slots."""
        self.stop()
        now = asyncio.get_running_loop().time()
        for execution in self._running:
            if execution.deadline is not None and execution.deadline <= now:
                execution.deadline = None
                self._passed(execution)
        left = [execution.deadline for execution in self._running if execution.deadline is not None]
        if left:
            self._arm(min(left))
