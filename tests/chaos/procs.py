"""Workers as processes of their own, to be killed, frozen and terminated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.chaos.ledger import VARIABLE, Ledger
from tests.support import wait_until

ROOT = Path(__file__).parents[2]


class WorkerProc:
    """`python -m aqueue worker` in a subprocess."""

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        log: Path,
        *,
        lease: float,
        concurrency: int,
    ) -> None:
        self.log = log
        self.lease = lease
        self.concurrency = concurrency
        #: When it was killed by us, on the monotonic clock.
        self.killed_at: float | None = None
        with open(log, "wb") as errors:
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=ROOT
            )
        self.began = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs, negative for a signal."""
        return self._process.poll()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        if self.code is None:
            self._process.kill()
            self.killed_at = time.monotonic()
            self._process.wait()

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def terminate(self) -> None:
        self.send(signal.SIGTERM)

    async def serving(self) -> Self:
        """Wait until it serves its queues."""
        await wait_until(lambda: " serves " in self.output or self.code is not None, timeout=60)
        assert self.code is None, self.output
        return self

    async def ended(self, timeout: float = 15) -> int:
        """Wait for its end; its exit code."""
        await wait_until(lambda: self.code is not None, timeout=timeout, description="the end of a worker")
        assert self.code is not None
        return self.code


class Fleet:
    """The worker processes of one scenario; whatever is left of them is killed at its end."""

    def __init__(self, url: str, namespace: str, folder: Path) -> None:
        self._url = url
        self._namespace = namespace
        self._folder = folder
        self.ledger = Ledger(folder / "ledger")
        self.workers: list[WorkerProc] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill_all()

    def kill_all(self) -> None:
        for worker in self.workers:
            worker.kill()

    def spawn(
        self,
        *queues: str,
        lease: float = 1,
        grace: float = 5,
        concurrency: int = 8,
        name: str = "w",
        options: Sequence[str] = (),
        before: Sequence[str] = (),
        point: str = "",
        url: str | None = None,
    ) -> WorkerProc:
        """Start a worker; does not wait for it.

        Args:
            options: More of the command line; they come last.
            before: A program that runs it.
            point: Where it is to die by itself, as `tests.chaos.points` has it.
            url: Its own way to Redis.
        """
        number = len(self.workers)
        command = [
            *before, sys.executable, *(["-m", "tests.chaos.points", point] if point else ["-m", "aqueue"]),
            "worker", *(queues or ("default",)), "--url", url or self._url,
            "--namespace", self._namespace, "--lease", str(lease), "--grace", str(grace),
            "--concurrency", str(concurrency), "--name", f"{name}{number}", "--path", str(ROOT), *options,
        ]  # fmt: skip
        environment = {**os.environ, VARIABLE: str(self.ledger.path), "PYTHONFAULTHANDLER": "1"}
        log = self._folder / f"worker{number}.log"
        worker = WorkerProc(command, environment, log, lease=lease, concurrency=concurrency)
        self.workers.append(worker)
        return worker

    def of(self, pid: int) -> WorkerProc:
        """The worker with this process id."""
        return next(worker for worker in self.workers if worker.pid == pid)

    def but(self, pid: int) -> WorkerProc:
        """One that is alive and not this one."""
        return next(worker for worker in self.alive if worker.pid != pid)

    @property
    def alive(self) -> list[WorkerProc]:
        return [worker for worker in self.workers if worker.code is None]
