"""One queue under one fault: its server, its processes, and the ledger of what its jobs did."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import Server, redis_binary
from tests.support import wait_until

ROOT = Path(__file__).parents[3]


class Trial:
    """A queue with a Redis of its own."""

    def __init__(self, peer: str, python: str, *, patience: float) -> None:
        self.peer = peer
        self._python = python
        #: How long to wait for jobs after the fault, seconds.
        self.patience = patience
        self.folder = Path(tempfile.mkdtemp(prefix="aqueue-peer-"))
        self.ledger = self.folder / "ledger"
        self.ledger.touch()
        self.server = Server(binary=redis_binary())
        #: Where the queue finds Redis; a proxy stands in between when it is another one.
        self.url = self.server.url
        self.workers: list[subprocess.Popen[str]] = []
        self._producer: subprocess.Popen[str] | None = None
        #: Numbers of jobs whose enqueue has returned.
        self.acked: list[int] = []
        self.refused = 0
        self._numbers = iter(range(1_000_000))

    async def __aenter__(self) -> Self:
        self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in [*self.workers, *filter(None, [self._producer])]:
            kill(process)
        for pid in {int(line.split()[2]) for line in self.lines()}:  # children that outlive their workers
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.kill()

    def spawn(self, command: str = "work") -> subprocess.Popen[str]:
        """Start a worker, or a producer."""
        environment = {
            **os.environ,
            "FAULT_REDIS": self.url,
            "FAULT_LEDGER": str(self.ledger),
            "PYTHONPATH": str(ROOT),
        }
        ends = subprocess.DEVNULL if command == "work" else subprocess.PIPE
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                [self._python, "-m", "tests.chaos.peers.host", self.peer, command],
                env=environment, cwd=self.folder, stdin=ends, stdout=ends, stderr=log, text=True,
                start_new_session=True,
            )  # fmt: skip
        if command == "work":
            self.workers.append(process)
        return process

    async def begin(self, workers: int) -> None:
        """Start workers and the producer, and let a first job go through."""
        for _ in range(workers):
            self.spawn()
        self._producer = self.spawn("produce")
        assert await asyncio.to_thread(self._read) == "open"
        await self.enqueue()
        await self.all_ended(timeout=30)
        assert self.missing() == 0, "its first job did not run: see " + str(self.folder / "log")

    def _read(self) -> Any:
        assert self._producer is not None
        assert self._producer.stdout is not None
        line = self._producer.stdout.readline()
        assert line, "the producer has ended: see " + str(self.folder / "log")
        return json.loads(line)

    async def ask(self, *request: Any) -> Any:
        """One request to the producer."""
        assert self._producer is not None
        assert self._producer.stdin is not None
        self._producer.stdin.write(json.dumps(request) + "\n")
        self._producer.stdin.flush()
        return await asyncio.to_thread(self._read)

    async def enqueue(self, seconds: float = 0.0, how: str = "sleep") -> int:
        """Enqueue one job; its number."""
        number = next(self._numbers)
        if await self.ask("enqueue", number, seconds, how) == "ok":
            self.acked.append(number)
        else:
            self.refused += 1
        return number

    async def result(self, number: int) -> Any:
        """What is recorded as the job's result."""
        return await self.ask("result", number)

    def respawn(self) -> int:
        """Start a worker for each one that has ended, as every supervisor does; how many."""
        ended = [process for process in self.workers if process.poll() is not None]
        for process in ended:
            self.workers.remove(process)
            self.spawn()
        return len(ended)

    def lines(self) -> list[str]:
        return self.ledger.read_text().splitlines()

    def count(self, word: str) -> Counter[int]:
        """How often each job has noted that word."""
        return Counter(int(line.split()[1]) for line in self.lines() if line.startswith(word + " "))

    def runner(self, number: int) -> int:
        """The process that has started this job last; 0: none."""
        pids = [int(line.split()[2]) for line in self.lines() if line.startswith(f"start {number} ")]
        return pids[-1] if pids else 0

    def missing(self) -> int:
        """How many acknowledged jobs have not come to their end."""
        ended = self.count("end")
        return sum(not ended[number] for number in self.acked)

    async def all_ended(self, timeout: float | None = None) -> None:
        """Wait for all acknowledged jobs, as long as is fair; workers that end are started again."""
        try:
            await wait_until(
                lambda: self.respawn() == 0 and self.missing() == 0,
                timeout=self.patience if timeout is None else timeout,
                every=0.2,
            )
        except AssertionError:
            pass  # they are lost, or late


def kill(process: subprocess.Popen[str]) -> None:
    """End a process and its group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.kill()
    process.wait()
    for end in (process.stdin, process.stdout):
        if end is not None:
            end.close()
