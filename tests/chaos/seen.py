"""What a scenario saw: counts, and how long it took until lost jobs were run again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

#: The counts that the aims are about; a scenario may count whatever else it likes.
JOBS = "jobs"
WORKER_KILLS = "worker_kills"
#: Kills and freezes.
REDIS_FAULTS = "redis_faults"
#: Workers (or jobs of theirs) that came back after their lease.
ZOMBIES = "zombies"
LOST_REPLIES = "lost_replies"
MODEL_STEPS = "model_steps"
LOST = "lost"
DOUBLE_RECORDED = "double_recorded"
#: Executions beyond those that retries and releases ask for; each is explained by a lost lease.
DUPLICATES = "duplicates"
#: Of them, those of a machine that stood still for so long that a worker could not keep its lease.
STARVED = "starved"


class Seen:
    def __init__(
        self, counts: Iterable[tuple[str, int]] = (), beyond: Iterable[tuple[str, int]] = ()
    ) -> None:
        self.counts: Counter[str] = Counter(dict(counts))
        #: Seconds between a kill and the new start of its jobs, beyond the lease: how often each, as "0.35".
        self.beyond: Counter[str] = Counter(dict(beyond))

    def add(self, name: str, number: int = 1) -> None:
        self.counts[name] += number

    def recovered(self, seconds: float) -> None:
        """A job was run again, so long after its lease had passed."""
        self.beyond[f"{max(seconds, 0):.2f}"] += 1

    def merge(self, other: Seen) -> None:
        self.counts.update(other.counts)
        self.beyond.update(other.beyond)

    def percentile(self, share: float) -> float | None:
        """Of the recovery times, beyond the lease."""
        total = self.beyond.total()
        rank = math.ceil(total * share)
        for seconds, count in sorted((float(text), count) for text, count in self.beyond.items()):
            rank -= count
            if rank <= 0:
                return seconds
        return None
