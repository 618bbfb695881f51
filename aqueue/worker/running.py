"""`Running`: the executions that hold a slot of this worker, and what has been asked of them.

An execution keeps its slot until its code is over and its outcome is on its way to Redis, and stays
in the table until that is recorded. One that is settled while its code still runs is a zombie. Only the
event loop changes the table; the heartbeat thread takes copies.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from enum import Enum

from aqueue._core.outcome import Lease


class Ask(Enum):
    """Why an execution is to end before its time."""

    TIMEOUT = "timeout"
    STOP = "stop"
    CANCEL = "cancel"
    SHUTDOWN = "shutdown"
    #: The lease belongs to another execution: the outcome is dropped.
    LOST = "lost"


class Execution:
    """One lease being run."""

    __slots__ = (
        "asked", "began", "deadline", "has_begun", "is_decided", "is_leaving", "is_over", "is_settled",
        "lease", "lock", "sure_since", "task", "thread",
    )  # fmt: skip

    def __init__(self, lease: Lease) -> None:
        self.lease: Lease = lease
        self.task: asyncio.Task[None] | None = None
        #: By `time.monotonic`.
        self.began: float = time.monotonic()
        #: When Redis answered the claim; later, when the last beat was sent that renewed the lease.
        self.sure_since: float = self.began
        #: The first thing that was asked; a timeout replaces a shutdown.
        self.asked: Ask | None = None
        #: The loop's time at which it times out or, once asked, at which it is given up; None: never.
        self.deadline: float | None = None
        #: Its task has taken its first step.
        self.has_begun: bool = False
        #: Its outcome is known and on its way.
        self.is_decided: bool = False
        #: Its code is over, and its outcome is on its way to Redis: see `Running.free`.
        self.is_leaving: bool = False
        #: Redis has answered.
        self.is_settled: bool = False
        #: Its code runs no more.
        self.is_over: bool = False
        #: Its function's thread: None, "waiting", "running" or "over"; guarded by `lock`.
        self.thread: str | None = None
        self.lock: threading.Lock | None = None

    @property
    def holds_lease(self) -> bool:
        """Whether the lease is still needed."""
        return not self.is_settled and self.asked is not Ask.LOST

    def why(self) -> str | None:
        """Why it is to end before its time; None: it is not."""
        return None if self.asked is None else self.asked.value


class Running:
    """The executions of a worker, by job and token: a lost job that was claimed again may run twice."""

    def __init__(self, concurrency: int) -> None:
        self._by_lease: dict[tuple[str, str], Execution] = {}
        self._concurrency = concurrency
        self._leaving = 0
        #: No lease is renewed: the loop has been blocked for too long.
        self.has_given_up = False

    def __len__(self) -> int:
        return len(self._by_lease)

    def __iter__(self) -> Iterator[Execution]:
        return iter(list(self._by_lease.values()))

    def add(self, execution: Execution) -> None:
        """Take a slot."""
        self._by_lease[execution.lease.job_id, execution.lease.token] = execution

    @property
    def free(self) -> int:
        """How many leases may be claimed now.

        A claim follows the settlements that were sent before it, so their slots count as free already. While
        Redis answers claims but no settlements, outcomes pile up: they are never more than twice the slots.
        """
        held = len(self._by_lease)
        return max(0, self._concurrency - held + min(self._leaving, self._concurrency))

    @property
    def is_idle(self) -> bool:
        """Whether no code runs."""
        return len(self._by_lease) == self._leaving

    def leave(self, execution: Execution) -> None:
        """Its outcome is being sent: free the slot if its code is over."""
        if execution.is_over and not execution.is_leaving:
            execution.is_leaving = True
            self._leaving += 1

    def stay(self, execution: Execution) -> None:
        """Redis has refused its outcome: it takes its slot again."""
        if execution.is_leaving:
            execution.is_leaving = False
            self._leaving -= 1

    def release(self, execution: Execution) -> None:
        """Forget it if its outcome is recorded and its code is over."""
        if execution.is_settled and execution.is_over:
            self.stay(execution)
            self._by_lease.pop((execution.lease.job_id, execution.lease.token), None)

    def get(self, lease: Lease) -> Execution | None:
        """The execution of this very lease."""
        return self._by_lease.get((lease.job_id, lease.token))

    def find(self, job_id: str) -> list[Execution]:
        """The executions of this job that are not settled."""
        return [
            execution for execution in self if execution.lease.job_id == job_id and not execution.is_settled
        ]

    def leases(self) -> list[Lease]:
        """The leases to extend; safe to call from another thread."""
        if self.has_given_up:
            return []
        return [execution.lease for execution in list(self._by_lease.values()) if execution.holds_lease]

    def renewed(self, leases: Iterable[Lease], sent: float) -> None:
        """A call that was sent then has renewed these leases; safe to call from another thread."""
        for lease in leases:
            execution = self.get(lease)
            if execution is not None:
                execution.sure_since = sent

    @property
    def zombies(self) -> list[Execution]:
        """Executions that were given up, but whose code still runs; while Redis is away, not settled yet."""
        return [execution for execution in self if execution.is_decided and not execution.is_over]

    @property
    def unsettled(self) -> list[Execution]:
        """Executions whose outcome is not recorded yet."""
        return [execution for execution in self if not execution.is_settled]

    @property
    def unsent(self) -> list[Execution]:
        """Executions whose outcome is not even on its way: a claim that is sent now cannot follow it."""
        return [execution for execution in self if not execution.is_settled and not execution.is_leaving]

    @property
    def undecided(self) -> list[Execution]:
        """Executions whose outcome is not known yet."""
        return [execution for execution in self if not execution.is_decided]
