"""One measurement of one peer: an empty Redis, an empty log, processes of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.producing import Numbers
from tests.benchmarks.roster import Peer
from tests.servers import Server

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """What all measurements of a run share."""

    server: Server
    folder: Path
    #: The interpreter of each peer, by its name.
    pythons: dict[str, str]
    #: What the numbers of jobs are divided by.
    cut: int = 1


@dataclass(frozen=True, slots=True)
class Used:
    """What Redis has used so far."""

    cpu: float
    memory: int
    commands: int


class Trial:
    """Starts producers and workers of one peer, and looks at what they did."""

    def __init__(self, place: Place, peer: Peer) -> None:
        self._place = place
        self._python = place.pythons[peer.name]
        self._peer = peer
        self._db: Any = place.server.client()
        self._db.flushall()
        self._db.config_resetstat()
        self._log = place.folder / "log"
        self._log.write_bytes(b"")
        self._errors = place.folder / "errors"

    def produce(self, command: str, count: int, *options: str) -> Numbers:
        """Let a producer measure or fill; what it printed."""
        done = subprocess.run(
            [*self._program(), command, str(count), *options],
            env=self._environment(), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{self._peer.name} {command}: {done.stderr.strip()[-300:]}")
        numbers: Numbers = json.loads(done.stdout.splitlines()[-1])
        return numbers

    @contextlib.contextmanager
    def worker(self, setting: str, *, up: bool = False) -> Generator[int]:
        """A worker that runs during the block; its process id.

        Args:
            up: Give it time to come up and be idle.
        """
        with self.process([*self._program(), "work", "--setting", setting]) as pid:
            if up:
                time.sleep(2.5)
            yield pid

    @contextlib.contextmanager
    def process(self, command: Sequence[str]) -> Generator[int]:
        """A process group that is killed at the end of the block."""
        with open(self._errors, "wb") as errors:
            process = subprocess.Popen(
                command, env=self._environment(), cwd=ROOT, stdout=errors, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
        try:
            yield process.pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def logged(self) -> int:
        """How many jobs have noted their end."""
        return self._log.stat().st_size // 8

    def wait_for(self, count: int) -> None:
        """Wait until so many jobs have."""
        deadline = time.monotonic() + PATIENCE
        while self.logged() < count:
            if time.monotonic() > deadline:
                text = self._errors.read_text("utf-8", "replace")[-300:]
                raise RuntimeError(f"{self._peer.name}: {self.logged()} of {count} jobs ran; {text}")
            time.sleep(0.005)

    def ends(self) -> list[float]:
        """When they ended, in order."""
        return sorted(struct.unpack(f"{self.logged()}d", self._log.read_bytes()))

    def used(self) -> Used:
        """What Redis has used until now."""
        info = self._db.info()
        cpu = info["used_cpu_user"] + info["used_cpu_sys"]
        return Used(cpu, info["used_memory"], info["total_commands_processed"])

    @property
    def url(self) -> str:
        """Where its Redis is."""
        return self._place.server.url

    def _program(self) -> list[str]:
        return [self._python, "-m", "tests.benchmarks.program", self._peer.adapter]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AQUEUE_")}
        return {
            **kept, **self._peer.environment, "BENCH_REDIS": self.url, "BENCH_LOG": str(self._log),
            "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore",
        }  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """What a process and the children that it has waited for have used; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Memory of a process, MiB; 0 where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
