"""The book of large runs: a line of JSON for each scenario and seed, beside the page that shows them.

It is also what a run resumes from: parts that are in it are not done again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.performing import Result
from tests.chaos.seen import Seen

BOOK = Path(__file__).parents[2] / "docs" / "reliability.jsonl"


@dataclass
class Row:
    """All parts of one scenario with one seed."""

    scenario: str
    seed: int
    #: How many parts make up the whole.
    of: int
    done: set[int] = field(default_factory=set[int])
    #: What was wrong, by part.
    failed: dict[int, str] = field(default_factory=dict[int, str])
    seen: Seen = field(default_factory=Seen)
    #: Seconds that it took.
    seconds: float = 0.0
    #: The day of the last part.
    date: str = ""

    def note(self, part: int, result: Result) -> None:
        """Add what one part saw; a part that is done again is judged by its last run."""
        self.done.add(part)
        self.failed.pop(part, None)
        if result.failure is not None:
            self.failed[part] = result.failure
        self.seen.merge(result.seen)
        self.seconds += result.seconds
        self.date = datetime.now(UTC).strftime("%Y-%m-%d")

    def encode(self) -> str:
        facts: dict[str, Any] = {
            "scenario": self.scenario, "seed": self.seed, "of": self.of, "done": sorted(self.done),
            "failed": {str(part): line for part, line in sorted(self.failed.items())},
            "seen": dict(sorted(self.seen.counts.items())),
            "beyond": dict(sorted(self.seen.beyond.items(), key=lambda item: float(item[0]))),
            "seconds": round(self.seconds), "date": self.date,
        }  # fmt: skip
        return json.dumps(facts)

    @classmethod
    def decode(cls, line: str) -> Row:
        facts = json.loads(line)
        return cls(
            facts["scenario"], facts["seed"], facts["of"], set(facts["done"]),
            {int(part): text for part, text in facts["failed"].items()},
            Seen(facts["seen"].items(), facts["beyond"].items()), facts["seconds"], facts["date"],
        )  # fmt: skip


class Book:
    def __init__(self, path: Path = BOOK) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        self._rows: dict[tuple[str, int], Row] = {}
        for row in sorted(map(Row.decode, lines), key=lambda row: len(row.done)):
            self._rows[row.scenario, row.seed] = row  # a merge may have kept an older one, too

    @property
    def rows(self) -> list[Row]:
        return [self._rows[key] for key in sorted(self._rows)]

    def row(self, scenario: str, seed: int, of: int) -> Row:
        """The row of these, new if there is none."""
        row = self._rows.setdefault((scenario, seed), Row(scenario, seed, of))
        row.of = of
        return row

    def write(self) -> None:
        """Whole or not at all: an interrupted run must find what it did."""
        draft = self._path.with_suffix(".draft")
        draft.write_text("".join(row.encode() + "\n" for row in self.rows if row.done), "utf-8")
        draft.replace(self._path)
