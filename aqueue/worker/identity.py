"""Who a worker is, and what its record in Redis says of it."""

from __future__ import annotations

import itertools
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from weakref import WeakSet

from aqueue._core.clock import now_ms
from aqueue._core.outcome import Lease, Outcome
from aqueue.worker.running import Running
from aqueue.worker.settings import WorkerSettings

#: Jobs whose ids the record names: the oldest.
NAMED_JOBS = 100
#: The nonce of a worker's first claim.
FIRST_CLAIM = "1"


def _new_id() -> str:
    return "w" + secrets.token_urlsafe(12)


def _nonces() -> Iterator[str]:
    return map(str, itertools.count(int(FIRST_CLAIM)))


@dataclass(slots=True, eq=False, weakref_slot=True)
class Identity:
    """Who a worker is. A copy in another process is another one: Redis answers an id's claim once."""

    #: A label for people; None: its id.
    label: str | None
    #: Names of the queues it serves, in order.
    queues: list[str]
    #: Random, new for each worker; part of every token.
    id: str = field(default_factory=_new_id)
    #: Of its claims: one after the other, also from one `work()` to the next.
    nonces: Iterator[str] = field(default_factory=_nonces)
    #: When it was made, unix ms.
    born_at: int = field(default_factory=now_ms)
    #: Outcomes recorded since.
    finished: int = 0
    failed: int = 0
    #: How long jobs have run here, in seconds, those that ran at the same time added up.
    worked: float = 0.0
    #: Called with each outcome that is recorded.
    told: Callable[[Lease, Outcome], None] | None = None

    def __post_init__(self) -> None:
        _known.add(self)

    def __reduce__(self) -> tuple[type[Identity], tuple[str | None, list[str]]]:
        return Identity, (self.label, self.queues)

    @property
    def name(self) -> str:
        """Its label, or its id."""
        return self.label or self.id

    def renew(self) -> None:
        """After a fork, in the child: be another worker."""
        self.id, self.nonces = _new_id(), _nonces()

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


_known: WeakSet[Identity] = WeakSet()


def _renew_all() -> None:
    for identity in list(_known):
        identity.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
