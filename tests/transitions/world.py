"""What Redis has to hold, and the small moves that verbs are made of; see `model`.

Each id is filed in one place (`filed`), so this world cannot put a job into two registries.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from aqueue._core.options import DAY_MS, DEFAULT_FAILURE_TTL_MS
from aqueue._core.outcome import Lease
from aqueue._core.status import REGISTRY_OF, JobStatus

#: Of every worker here, ms.
LEASE = 30_000_000
#: A time, wherever only its presence counts.
SOME_TIME = "time"
FOREVER = math.inf
TIMED = ("finished", "failed", "canceled", "expired")
MINUTE = 60_000

Record = dict[str, str]
#: Where an id lies: registry, queue and score; a waiting job's score is its place.
Filed = tuple[str, str, float | tuple[int, int]]


class World:
    """Jobs, queues and workers at one moment."""

    def __init__(self) -> None:
        self.now = 0
        #: The clock may be put back.
        self.latest = 0
        #: Out of memory.
        self.full = False
        self.jobs: dict[str, Record] = {}
        self.filed: dict[str, Filed] = {}
        #: (registry, queue, id) -> removal time, where nobody pruned before the record's own TTL passed.
        self.leftover: dict[tuple[str, str, str], float] = {}
        self.expiring: dict[str, tuple[str, int]] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.results: dict[str, str] = {}
        self.histories: dict[str, list[tuple[str, ...]]] = {}
        self.answers: dict[str, str] = {}
        self.workers: dict[str, Record] = {}
        self.beating: dict[str, int] = {}
        self.until: dict[str, int] = {}  # key -> end of its TTL
        self.totals: Counter[tuple[str, str]] = Counter()
        self.queues: set[str] = set()
        self.paused: set[str] = set()
        self.awake: set[str] = set()
        self.heartbeat = self.hold = 0
        #: (id, nonce, incarnation) of every job that has ended.
        self.outcomes: set[tuple[str, str, str]] = set()
        self._count = itertools.count(1)

    # -- time and places

    def advance_to(self, now: int) -> None:
        """Time passes; keys whose TTL is over are gone."""
        self.now = now
        self.latest = max(self.latest, now)
        for key in [key for key, end in self.until.items() if end <= now]:
            del self.until[key]
            kind, _, name = key.partition(":")
            stores: dict[str, dict[str, Any]] = {
                "job": self.jobs, "result": self.results, "history": self.histories,
                "reply": self.answers, "worker": self.workers,
            }  # fmt: skip
            stores[kind].pop(name, None)
            if kind == "job" and name in self.filed:
                registry, queue, score = self.filed.pop(name)
                assert isinstance(score, float | int), "only ended jobs go by themselves"
                self.leftover[registry, queue, name] = score

    def listed(self, registry: str, queue: str) -> list[str]:
        """Ids in a registry, in its order."""
        found = [
            (score, id) for id, (where, of, score) in self.filed.items() if (where, of) == (registry, queue)
        ]
        found += [
            (end, id) for (where, of, id), end in self.leftover.items() if (where, of) == (registry, queue)
        ]
        return [id for _, id in sorted(found)]

    def overdue(self, registry: str, queue: str) -> list[str]:
        """Ids of a registry of ended jobs, or waiting ones with a ttl, whose time has passed."""
        if registry == "queue":
            return [id for id, (of, end) in self.expiring.items() if of == queue and end <= self.now]
        return [id for id in self.listed(registry, queue) if self._removal(registry, queue, id) <= self.now]

    def _removal(self, registry: str, queue: str, job_id: str) -> float:
        where, of, score = self.filed.get(job_id, ("", "", 0))
        end = score if (where, of) == (registry, queue) else self.leftover[registry, queue, job_id]
        assert isinstance(end, float | int)
        return end

    def visible(self, registry: str, queue: str) -> list[str]:
        """What a reader is shown."""
        hidden = self.overdue(registry, queue) if registry in ("queue", *TIMED) else []
        return [id for id in self.listed(registry, queue) if id not in hidden]

    def wake(self, queue: str) -> None:
        if queue not in self.paused:
            self.awake.add(queue)

    def _file(self, job_id: str, registry: str, queue: str, score: float | tuple[int, int]) -> None:
        self.filed[job_id] = registry, queue, score
        self.leftover.pop((registry, queue, job_id), None)

    def _wait(self, job_id: str, *, front: bool = False, place: tuple[int, int] | None = None) -> None:
        """Into the queue: before or behind all of its priority, or at an old place."""
        job, number = self.jobs[job_id], next(self._count)
        new = (-int(job.get("priority", 0)), -number if front else number)
        job["status"] = "queued"
        self._file(job_id, "queue", job["queue"], place or new)

    def _unfile(self, job_id: str) -> None:
        """An ended job leaves the registry of its status, and a tombstone what was left over there."""
        job = self.jobs[job_id]
        self.filed.pop(job_id, None)
        self.leftover.pop((REGISTRY_OF.get(JobStatus(job["status"]), ""), job["queue"], job_id), None)

    @staticmethod
    def _fence(job: Record) -> int:
        """The highest number of a lease that its id ever had."""
        return max(int(job.get(name, "0").rpartition(":")[2]) for name in ("token", "settled", "fence"))

    def _schedule(self, job_id: str, delay: float) -> None:
        self.jobs[job_id]["status"] = "scheduled"
        self._file(job_id, "scheduled", self.jobs[job_id]["queue"], self.now + delay)

    def _drop(self, job_id: str, *fields: str) -> None:
        for field in fields:
            self.jobs[job_id].pop(field, None)

    def _note_outcome(self, job_id: str, status: str) -> None:
        """Its one outcome."""
        job = self.jobs[job_id]
        execution = job_id, job.get("nonce", ""), job.get("incarnation", "0")
        assert execution not in self.outcomes, f"{execution} ends twice"
        self.outcomes.add(execution)
        self.totals[job["queue"], status] += 1

    def _end(self, job_id: str, status: str, keep: int) -> None:
        self._note_outcome(job_id, status)
        job = self.jobs[job_id]
        job |= {"status": status, "ended_at": SOME_TIME}
        removal = self.now + keep if keep >= 0 else FOREVER
        self._file(job_id, REGISTRY_OF[JobStatus(status)], job["queue"], removal)
        for key, stored in ((f"job:{job_id}", True), (f"history:{job_id}", job_id in self.histories)):
            if keep >= 0 and stored:
                self.until[key] = self.now + keep + DAY_MS

    def _kept(self, job_id: str, status: str) -> int:
        default = DEFAULT_FAILURE_TTL_MS if status in {"failed", "stopped"} else DAY_MS
        return int(self.jobs[job_id].get("failure_ttl", default))

    def _forget(self, job_id: str, *, record: bool = True) -> None:
        if record:
            self.jobs.pop(job_id, None)
            self.until.pop(f"job:{job_id}", None)
        self.results.pop(job_id, None)
        self.histories.pop(job_id, None)
        self.until.pop(f"result:{job_id}", None)
        self.until.pop(f"history:{job_id}", None)

    def _promote(self, queue: str) -> int:
        due = [id for id in self.listed("scheduled", queue) if self._due(id) <= self.now]
        for job_id in due:
            job, at = self.jobs[job_id], self._due(job_id)
            job["enqueued_at"] = SOME_TIME
            self._wait(job_id)
            if "ttl" in job and not job.keys() & {"attempts", "lost", "releases", "misses"}:
                self.expiring[job_id] = queue, round(at) + int(job["ttl"])
        return len(due)

    def _expire(self, job_id: str) -> None:
        self._end(job_id, "expired", self._kept(job_id, "expired"))

    def _remember(self, job_id: str, *parts: str) -> None:
        self.histories[job_id] = [parts, *self.histories.get(job_id, [])][:9]

    def _answer(self, nonce: str, words: list[str]) -> list[str]:
        self.answers[nonce] = "".join(f"{word}\n" for word in words)
        self.until[f"reply:{nonce}"] = self.now + MINUTE
        return words

    def status(self, job_id: str) -> str | None:
        """As everybody but a replay sees it."""
        job = self.jobs.get(job_id)
        return None if job is None or "gone" in job else job["status"]

    @staticmethod
    def _worker(job: Record) -> str:
        return job.get("worker_name") or job.get("token", "").partition(":")[0]

    def _runs_under(self, job_id: str, token: str) -> bool:
        job = self.jobs.get(job_id, {})
        return job.get("status") == "started" and job.get("token") == token

    def _due(self, job_id: str) -> float:
        _, _, score = self.filed[job_id]
        assert isinstance(score, float | int)
        return score

    def _is_silent(self) -> bool:
        return not -2 * LEASE <= self.now - self.heartbeat <= LEASE / 2

    def holds(self, lease: Lease) -> bool:
        """Whether it is the lease under which the job runs now."""
        job = self.jobs.get(lease.job_id, {})
        return job.get("status") == "started" and job.get("token") == lease.token

    def ids(self, *statuses: str) -> Iterator[str]:
        """The jobs in any of these statuses."""
        return (id for id in self.jobs if self.status(id) in statuses)
