"""The independent witness: every execution writes its start and its end into one file.

Written by the jobs, in whatever process they run; no part of aqueue reads it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aqueue import get_current_job

VARIABLE = "AQUEUE_TEST_LEDGER"


@dataclass(frozen=True, slots=True)
class Entry:
    job_id: str
    token: str
    #: "start" or "end".
    event: str
    pid: int
    #: Monotonic clock, the same for all processes of the machine.
    at: float

    @property
    def fence(self) -> int:
        """Of how many leases of the job this one is the last."""
        return int(self.token.rpartition(":")[2])


class Ledger:
    """Reads what was added since it last looked, so that it can be asked again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._entries: list[Entry] = []
        self._starts: Counter[str] = Counter()
        self._read = 0

    def entries(self) -> list[Entry]:
        with open(self.path, "rb") as file:
            file.seek(self._read)
            new = file.read()
        new = new[: new.rfind(b"\n") + 1]  # the last line may be under way
        self._read += len(new)
        for line in new.decode().splitlines():
            job_id, token, event, pid, at = line.split()
            self._entries.append(Entry(job_id, token, event, int(pid), float(at)))
            self._starts[job_id] += event == "start"
        return self._entries

    def starts(self) -> Counter[str]:
        """How often each job was started."""
        self.entries()
        return +self._starts

    def starts_of(self, job_id: str) -> list[Entry]:
        return [entry for entry in self.entries() if entry.job_id == job_id and entry.event == "start"]


def write(event: str) -> None:
    """One line in one write to a file opened for appending: lines of several processes do not mix."""
    job = get_current_job()
    assert job is not None
    line = f"{job.id} {job._token} {event} {os.getpid()} {time.monotonic():.6f}\n"
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@contextmanager
def recorded() -> Generator[None]:
    """Write the start, and the end unless it raises."""
    write("start")
    yield
    write("end")


def runs_so_far() -> int:
    """How often the current job was started, this time included."""
    job = get_current_job()
    assert job is not None
    lines = Path(os.environ[VARIABLE]).read_text().splitlines()
    return sum(line.startswith(f"{job.id} ") and " start " in line for line in lines)
