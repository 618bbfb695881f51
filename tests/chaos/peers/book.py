"""What the runs saw: one line of docs/reliability-peers.jsonl each; and as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.peers.faults import FAULTS

BOOK = Path(__file__).parents[3] / "docs" / "reliability-peers.jsonl"


@dataclass(frozen=True, slots=True)
class Row:
    """One queue under one fault."""

    fault: str
    peer: str
    versions: str
    seen: str
    date: str


def keep(row: Row) -> None:
    """Write it down."""
    with open(BOOK, "a") as book:
        book.write(json.dumps(asdict(row)) + "\n")


def rows() -> list[Row]:
    """All that was written down."""
    if not BOOK.exists():
        return []
    return [Row(**json.loads(line)) for line in BOOK.read_text("utf-8").splitlines()]


def table(rows: Iterable[Row]) -> str:
    """The last run of each queue under each fault, and which versions they were."""
    last = {(row.fault, row.peer): row for row in rows}
    peers = sorted({row.peer for row in last.values()}, key=lambda peer: (peer != "aqueue", peer))
    lines = [f"| | {' | '.join(peers)} |", "|---|" + "---|" * len(peers)]
    for id, told in FAULTS.items():
        cells = [last[id, peer].seen if (id, peer) in last else "" for peer in peers]
        if any(cells):
            lines.append(f"| {id}: {told.words} | {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    versions = sorted({row.versions for row in last.values()})
    dates = sorted({row.date for row in last.values()})
    return "\n".join([*lines, "", f"{', '.join(versions)}; {' and '.join(dates)}."]) if last else ""
