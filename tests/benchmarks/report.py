"""What was measured, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from tests.benchmarks.targets import TARGETS, Results, Verdict, judge

#: Title, figure, number.
ROWS = [
    ("enqueue one by one, jobs/s", "enqueue_one", "rate"),
    ("enqueue, 100 at once, jobs/s", "enqueue_100", "rate"),
    ("enqueue in bulk, jobs/s", "enqueue_bulk", "rate"),
    ("drain no-ops, concurrency 1, jobs/s", "drain_1", "rate"),
    ("drain no-ops, concurrency 10, jobs/s", "drain_10", "rate"),
    ("drain no-ops, concurrency 100, jobs/s", "drain_100", "rate"),
    ("drain no-ops, concurrency 1,000, jobs/s", "drain_1000", "rate"),
    ("10 ms sleeps, concurrency 100, jobs/s", "naps", "rate"),
    ("plain functions in threads, jobs/s", "threads", "rate"),
    ("latency idle, p50 ms", "latency", "p50"),
    ("latency idle, p99 ms", "latency", "p99"),
    ("round trip idle, p50 ms", "round_trip", "p50"),
    ("round trip idle, p99 ms", "round_trip", "p99"),
    ("latency at 1,000 jobs/s, p50 ms", "steady", "p50"),
    ("latency at 1,000 jobs/s, p99 ms", "steady", "p99"),
    ("round trip at 1,000 jobs/s, p50 ms", "steady", "trip_p50"),
    ("round trip at 1,000 jobs/s, p99 ms", "steady", "trip_p99"),
    ("Redis bytes per queued job", "drain_100", "bytes_queued"),
    ("Redis bytes per finished job", "drain_100", "bytes_finished"),
    ("Redis CPU per job, whole life, us", "drain_100", "redis_us"),
    ("of it the enqueue, us", "drain_100", "redis_us_enqueue"),
    ("Redis commands per job, scripts' own too", "drain_100", "commands"),
    ("worker CPU per job, us", "drain_100", "worker_us"),
    ("worker memory, MiB", "drain_100", "rss_mb"),
    ("drain at a backlog of 1 k, jobs/s", "backlog_1k", "rate"),
    ("drain at a backlog of 100 k, jobs/s", "backlog_100k", "rate"),
    ("drain at a backlog of 1 M, jobs/s", "backlog_1m", "rate"),
    ("worker memory after 1 M jobs / after 10 k", "backlog_1m", "rss_growth"),
    ("drain beside 100 k scheduled, jobs/s", "scheduled", "rate"),
    ("fetch_many of 10,000, jobs/s", "fetch_many", "rate"),
    ("start-up to the first job, s", "startup", "seconds"),
    ("1 ms of CPU a job, one worker, jobs/s", "spin_1", "rate"),
    ("1 ms of CPU a job, two workers, jobs/s", "spin_2", "rate"),
    ("1 ms of CPU a job, --processes 1, jobs/s", "spin_1_process", "rate"),
    ("1 ms of CPU a job, --processes 2, jobs/s", "spin_2_processes", "rate"),
    ("no-ops, one worker, jobs/s", "noop_1", "rate"),
    ("no-ops, two workers, jobs/s", "noop_2", "rate"),
]


def short(number: float) -> str:
    """Three digits that matter."""
    size = abs(number)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{number:,.{digits}f}"


def cell(results: Results, peer: str, figure: str, key: str) -> str:
    """The median, and from where to where the repetitions went."""
    found = [numbers[key] for numbers in results.get((peer, figure), ()) if key in numbers]
    if not found:
        return "-"
    middle, low, high = short(median(found)), short(min(found)), short(max(found))
    return middle if low == high else f"{middle} ({low} to {high})"


def table(results: Results, peers: Sequence[str]) -> str:
    """A row a figure, a column a peer."""
    lines = ["| figure | " + " | ".join(peers) + " |", "|---" * (len(peers) + 1) + "|"]
    for title, figure, key in ROWS:
        cells = [cell(results, peer, figure, key) for peer in peers]
        if any(shown != "-" for shown in cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(results: Results) -> str:
    """The targets, and whether each was met."""
    lines = ["| target | aimed at | measured | |", "|---|---|---|---|"]
    for target in TARGETS:
        verdict = judge(target, results)
        if verdict.value is not None:
            lines.append(f"| {target.title} | {_aim(verdict)} | {short(verdict.value)} | {_word(verdict)} |")
    return "\n".join(lines)


def _aim(verdict: Verdict) -> str:
    target = verdict.target
    relation = "<=" if target.is_most else ">="
    times = f" x {verdict.than}" if verdict.than else ""
    return f"{relation} {target.limit:g}{times}"


def _word(verdict: Verdict) -> str:
    return "met" if verdict.is_met else "missed"
