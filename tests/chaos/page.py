"""docs/reliability.md: its words are written by hand, its tables by this program, from the book."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.chaos.book import Row
from tests.chaos.catalogue import CATALOGUE, Entry
from tests.chaos.peers import book as peers
from tests.chaos.scenario import Scenario
from tests.chaos.seen import (
    DOUBLE_RECORDED,
    DUPLICATES,
    JOBS,
    LOST,
    LOST_REPLIES,
    MODEL_STEPS,
    REDIS_FAULTS,
    STARVED,
    WORKER_KILLS,
    ZOMBIES,
    Seen,
)

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"

#: What is counted, its words, and the least that is aimed at.
AIMS = {
    JOBS: ("jobs run under faults", 200_000),
    WORKER_KILLS: ("workers killed", 1_000),
    REDIS_FAULTS: ("kills and freezes of Redis", 100),
    ZOMBIES: ("zombies that came back", 200),
    LOST_REPLIES: ("replies lost", 5_000),
    MODEL_STEPS: ("steps of the model", 200_000),
}
#: Seconds beyond the lease.
RECOVERY_AIM = 2.0


def render(page: str, rows: Iterable[Row], scenarios: Mapping[str, Scenario]) -> str:
    """The page with its tables made new."""
    listed = list(rows)
    tables = {
        "totals": totals(listed),
        "catalogue": catalogue(listed, scenarios),
        "runs": runs(listed),
        "peers": peers.table(peers.rows()),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        assert begin in page and end in page, f"the page has no place for {name}"  # noqa: PT018
        before, after = page.partition(begin)[0], page.partition(end)[2]
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def totals(rows: list[Row]) -> str:
    seen = Seen()
    for row in rows:
        seen.merge(row.seen)
    lines = ["| | so far | aim |", "|---|---:|---:|"]
    lines += [f"| {words} | {seen.counts[name]:,} | {aim:,} |" for name, (words, aim) in AIMS.items()]
    lines += [
        f"| jobs lost | {seen.counts[LOST]:,} | 0 |",
        f"| outcomes recorded twice | {seen.counts[DOUBLE_RECORDED]:,} | 0 |",
        f"| second runs, each explained by a lost lease | {seen.counts[DUPLICATES]:,} | |",
        f"| of them since the machine itself stood still | {seen.counts[STARVED]:,} | |",
        f"| parts that failed | {sum(len(row.failed) for row in rows):,} | 0 |",
        f"| recovery beyond the lease, p50 / p99 / most, s ({seen.beyond.total():,} jobs) "
        f"| {_times(seen)} | p99 ≤ {RECOVERY_AIM:g} |",
    ]
    return "\n".join(lines)


def catalogue(rows: list[Row], scenarios: Mapping[str, Scenario]) -> str:
    lines = ["| | What is done to it | Status |", "|---|---|---|"]
    for id, entry in CATALOGUE.items():
        mine = [row for row in rows if row.scenario == id]
        lines.append(f"| {id} | {entry.fault} | {_status(entry, scenarios.get(id), mine)} |")
    return "\n".join(lines)


def runs(rows: list[Row]) -> str:
    lines = [
        "| Scenario | Seed | Parts | Seen | Recovery beyond the lease, p50 / p99 / most | Result |",
        "|---|---:|---:|---|---|---|",
    ]
    for row in rows:
        seen = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in _told(row.seen))
        lines.append(
            f"| {row.scenario} | {row.seed} | {len(row.done)} of {row.of} | {seen} | {_times(row.seen)} "
            f"| {_result(row)} |"
        )
    return "\n".join(lines)


def _told(seen: Seen) -> list[tuple[str, int]]:
    always = (JOBS, LOST, DOUBLE_RECORDED)
    counts = seen.counts
    return [
        (name, counts[name]) for name in sorted(counts, key=lambda name: (name != JOBS, name))
        if counts[name] or (name in always and counts[JOBS])
    ]  # fmt: skip


def _times(seen: Seen) -> str:
    if not seen.beyond:
        return ""
    return " / ".join(f"{seen.percentile(share):.2f}" for share in (0.5, 0.99, 1.0))


def _result(row: Row) -> str:
    if not row.failed:
        return "held"
    part, line = min(row.failed.items())
    again = f"python -m tests.chaos run --scale full --only {row.scenario} --seed {row.seed} --part {part}"
    return f"**failed** in {len(row.failed)}: {line.replace('|', '/')} (`{again}`)"


def _status(entry: Entry, scenario: Scenario | None, rows: list[Row]) -> str:
    if scenario is None:
        if entry.skipped:
            return f"skipped: {entry.skipped}"
        return f"`{entry.elsewhere}`" if entry.elsewhere else "not yet"
    if any(row.failed for row in rows):
        return "**failed**, see below"
    done, of = sum(len(row.done) for row in rows), max((row.of for row in rows), default=scenario.parts)
    return f"in CI; large runs: {done} parts, {of} make up one" if done else "in CI"
