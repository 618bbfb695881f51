"""What is aimed at: ratios to peers and to the floor within one run, and a few absolute numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.producing import Numbers
from tests.benchmarks.roster import PEERS

#: (peer, figure) -> what each repetition measured.
Results = Mapping[tuple[str, str], Sequence[Numbers]]

RIVALS = tuple(name for name, peer in PEERS.items() if peer.is_rival)
ASYNC_RIVALS = tuple(name for name in RIVALS if PEERS[name].is_async)


@dataclass(frozen=True, slots=True)
class Target:
    """aqueue's number divided by the best of what it is compared with; at least or at most so much."""

    title: str
    figure: str
    key: str
    limit: float
    #: Peers; of several the best one that was measured. Nobody: the number itself counts.
    than: tuple[str, ...] = ()
    #: The figure of ours that it is compared with, instead of peers.
    than_figure: str = ""
    is_most: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a target came out."""

    target: Target
    #: The ratio or number; None: not measured.
    value: float | None
    #: Whom it was compared with.
    than: str

    @property
    def is_met(self) -> bool:
        """Whether it was reached."""
        if self.value is None:
            return False
        return self.value <= self.target.limit if self.target.is_most else self.value >= self.target.limit


_RATE, _FLOOR = "rate", ("floor",)
TARGETS = [
    Target("drain no-ops, concurrency 100", "drain_100", _RATE, 12, RIVALS),
    Target("drain no-ops, concurrency 100", "drain_100", _RATE, 0.5, _FLOOR),
    Target("enqueue, 100 at once", "enqueue_100", _RATE, 5, ("saq",)),
    Target("enqueue, 100 at once", "enqueue_100", _RATE, 0.5, _FLOOR),
    Target("enqueue in bulk", "enqueue_bulk", _RATE, 2.5, ("bullmq",)),
    Target("enqueue one by one", "enqueue_one", _RATE, 1, ASYNC_RIVALS),
    Target("10 ms sleeps, concurrency 100", "naps", _RATE, 2.5, ("docket",)),
    Target("10 ms sleeps, concurrency 100", "naps", _RATE, 0.85, _FLOOR),
    Target("latency idle, p50", "latency", "p50", 1, ("taskiq",), is_most=True),
    Target("latency idle, p99", "latency", "p99", 1, ("taskiq",), is_most=True),
    Target("latency idle, p50", "latency", "p50", 1.3, _FLOOR, is_most=True),
    Target("latency idle, p99", "latency", "p99", 1.3, _FLOOR, is_most=True),
    Target("round trip idle, p50", "round_trip", "p50", 0.7, ("saq",), is_most=True),
    Target("Redis bytes per queued job", "drain_100", "bytes_queued", 400, is_most=True),
    Target("Redis bytes per finished job", "drain_100", "bytes_finished", 540, is_most=True),
    Target("Redis CPU per job, whole life", "drain_100", "redis_us", 0.4, RIVALS, is_most=True),
    Target("drain at a backlog of 1 M", "backlog_1m", _RATE, 0.9, than_figure="backlog_1k"),
    Target("drain beside 100 k scheduled", "scheduled", _RATE, 0.9, than_figure="drain_100"),
    Target("worker's memory after 1 M jobs", "backlog_1m", "rss_growth", 1.15, is_most=True),
    Target("fetch_many of 10,000", "fetch_many", _RATE, 5, ("rq",)),
    Target("two workers, 1 ms of CPU a job", "spin_2", _RATE, 1.6, than_figure="spin_1"),
    Target("--processes 2, 1 ms of CPU a job", "spin_2_processes", _RATE, 1.6, than_figure="spin_1_process"),
]


def middle(results: Results, peer: str, figure: str, key: str) -> float | None:
    """The median of the repetitions."""
    found = [numbers[key] for numbers in results.get((peer, figure), ()) if key in numbers]
    return median(found) if found else None


def judge(target: Target, results: Results) -> Verdict:
    """Compare."""
    ours = middle(results, "aqueue", target.figure, target.key)
    if ours is None:
        return Verdict(target, None, "")
    if target.than_figure:
        other = middle(results, "aqueue", target.than_figure, target.key)
        return Verdict(target, other and ours / other, target.than_figure)
    if not target.than:
        return Verdict(target, ours, "")
    measured = {peer: middle(results, peer, target.figure, target.key) for peer in target.than}
    known = {peer: number for peer, number in measured.items() if number}
    if not known:
        return Verdict(target, None, "")
    best = (min if target.is_most else max)(known.values())
    [than, *_] = [peer for peer, number in known.items() if number == best]
    return Verdict(target, ours / best, than)
