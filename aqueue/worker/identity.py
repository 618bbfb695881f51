"""Who a worker is, and what its record in Redis says of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from aqueue._core.clock import now_ms
from aqueue._core.outcome import Lease, Outcome
from aqueue.worker.running import Running
from aqueue.worker.settings import WorkerSettings

#: Jobs whose ids the record names: the oldest.
NAMED_JOBS = 100


@dataclass(slots=True)
class Identity:
    """Who a worker is."""

    #: Random, new for each worker; part of every token.
    id: str
    #: A label for people.
    name: str
    #: Names of the queues it serves, in order.
    queues: list[str]
    #: When it was made, unix ms.
    born_at: int = field(default_factory=now_ms)
    #: Outcomes recorded since.
    finished: int = 0
    failed: int = 0
    #: How long jobs have run here, in seconds, those that ran at the same time added up.
    worked: float = 0.0
    #: Called with each outcome that is recorded.
    told: Callable[[Lease, Outcome], None] | None = None

    def facts(self, settings: WorkerSettings, running: Running, state: str) -> dict[str, str | int]:
        """The worker's record, as each beat writes it; called from the heartbeat's thread."""
        return {
            "name": self.name,
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "queues": " ".join(self.queues),
            "concurrency": settings.concurrency,
            "lease": settings.lease_ms,
            "state": state,
            "running": len(running),
            "jobs": " ".join(lease.job_id for lease in running.leases()[:NAMED_JOBS]),
            "zombies": len(running.zombies),
            "finished": self.finished,
            "failed": self.failed,
            "worked": round(self.worked * 1000),
            "started_at": self.born_at,
        }
