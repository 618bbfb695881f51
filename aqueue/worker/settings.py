"""`WorkerSettings`: everything a worker is told, checked once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from aqueue._core.clock import Duration, to_ms
from aqueue._core.names import check_integer
from aqueue._core.options import check_executor, check_timeout
from aqueue.errors import SettingsError
from aqueue.middleware import JobMiddleware, check_middleware
from aqueue.worker.lifespan import Opener, check_lifespan
from aqueue.worker.memory import check_max_rss

MAX_CONCURRENCY = 10_000
MAX_CHILDREN = 1_000
MAX_JOBS = 10**15
SHORTEST_LEASE_MS = 1_000
SHORTEST_STALL_MS = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """What a worker does; seconds."""

    #: Jobs that run at the same time.
    concurrency: int
    #: How long Redis waits for a beat before it gives the jobs to others.
    lease: float
    #: After SIGTERM, running jobs may go on this long.
    grace: float
    #: With more executions than this that were given up but run on, it drains to be replaced.
    max_zombies: int
    #: With more memory than this, bytes, it ends once its jobs have, to be replaced; None: no limit.
    max_rss: int | None = None
    #: Timeout of jobs that were enqueued without one, milliseconds; None: 180 s.
    default_timeout: int | None = None
    #: Where jobs run that say nothing: "process", "thread", or None for the default.
    executor: str | None = None
    #: Child processes at the same time.
    max_children: int = 1
    #: Opens what its jobs share.
    lifespan: Opener | None = None
    #: Around each execution, the first outermost.
    middleware: Sequence[JobMiddleware] = ()
    #: "continue" or "cancel": what to do with a job whose lease Redis has not confirmed for its whole length.
    on_unsure: str = "continue"
    #: When code has blocked the event loop for this long, the leases are given up.
    max_stall: float = 600.0
    #: When it has for this long, it is logged.
    stall_warning: float = 5.0
    #: After a cancellation, a job may clean up this long.
    cleanup: float = 5.0
    #: After that, this long for settling what is left while Redis is away; with the last beat and the
    #: removal of the worker's record it is about ten seconds in all.
    farewell: float = 6.0

    @property
    def lease_ms(self) -> int:
        """The lease in milliseconds."""
        return math.ceil(self.lease * 1000)

    @property
    def beat(self) -> float:
        """Seconds between two beats: three may be missed."""
        return self.lease * 7 / 30

    @property
    def beat_timeout(self) -> float:
        """Seconds that one beat may take."""
        return max(self.lease / 10, 0.5)


def check_settings(
    *,
    concurrency: int,
    lease: Duration,
    grace: Duration,
    max_zombies: int | None = None,
    on_unsure: str = "continue",
    max_stall: Duration = 600,
    max_rss: int | str | None = None,
    default_timeout: Duration | None = None,
    executor: str | None = None,
    max_children: int | None = None,
    lifespan: Callable[..., AbstractAsyncContextManager[Any]] | None = None,
    middleware: Iterable[JobMiddleware] = (),
) -> WorkerSettings:
    """The settings of a worker.

    Raises:
        SettingsError: A value that cannot be used.
    """
    check_integer(concurrency, "concurrency", 1, MAX_CONCURRENCY)
    if max_zombies is None:
        max_zombies = max(1, concurrency // 2)
    if max_children is None:
        max_children = os.cpu_count() or 1
    if on_unsure not in ("continue", "cancel"):
        raise SettingsError(f"on_unsure={on_unsure!r} must be 'continue' or 'cancel'")
    return WorkerSettings(
        concurrency=concurrency,
        lease=_at_least(SHORTEST_LEASE_MS, lease, "lease") / 1000,
        grace=to_ms(grace, "grace", zero=True) / 1000,
        max_zombies=check_integer(max_zombies, "max_zombies", 0, MAX_CONCURRENCY),
        default_timeout=check_timeout(default_timeout),
        executor=check_executor(executor),
        max_children=check_integer(max_children, "max_children", 1, MAX_CHILDREN),
        lifespan=check_lifespan(lifespan),
        middleware=check_middleware(middleware, "job"),
        on_unsure=on_unsure,
        max_rss=None if max_rss is None else check_max_rss(max_rss),
        max_stall=_at_least(SHORTEST_STALL_MS, max_stall, "max_stall") / 1000,
    )


def _at_least(shortest_ms: int, duration: Duration, name: str) -> int:
    milliseconds = to_ms(duration, name)
    if milliseconds < shortest_ms:
        raise SettingsError(f"{name}={duration!r} must be at least {shortest_ms // 1000} s")
    return milliseconds


@dataclass(frozen=True, kw_only=True, slots=True)
class RunLimits:
    """When one call of `work` ends by itself."""

    #: When nothing claimable waits and nothing runs.
    burst: bool = False
    #: After so many jobs.
    max_jobs: int | None = None
    #: After so many seconds without a job.
    max_idle: float | None = None


def check_limits(burst: bool, max_jobs: int | None, max_idle_time: Duration | None) -> RunLimits:
    """The limits of one run.

    Raises:
        SettingsError: A value that cannot be used.
    """
    if max_jobs is not None:
        check_integer(max_jobs, "max_jobs", 1, MAX_JOBS)
    max_idle = None if max_idle_time is None else to_ms(max_idle_time, "max_idle_time") / 1000
    return RunLimits(burst=burst, max_jobs=max_jobs, max_idle=max_idle)
