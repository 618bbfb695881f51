"""One place among a supervisor's workers: the process that fills it, and those that come after it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from aqueue.cli.supervised import VARIABLE

#: Seconds before a process is started again that died: doubled each time, up to the longest.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
#: One that lived for so many seconds was well: the pauses begin anew.
WELL = 60.0


class Child:
    """A worker process that is started again and again."""

    def __init__(self, label: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        #: What the log calls it.
        self.label = label
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        #: Our end of the pipe; closed by our death, whatever it is.
        self._line = -1
        self._began = 0.0
        self._pause = 0.0
        #: It was told to end.
        self.is_leaving: bool = False

    def __repr__(self) -> str:
        return self.label if self._process is None else f"{self.label} (pid {self._process.pid})"

    def start(self) -> int:
        """Start a process; its pid.

        It has a process group of its own, so that Ctrl-C at a terminal reaches the supervisor alone.

        Raises:
            OSError: The system refuses.
        """
        theirs, ours = os.pipe()
        try:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment, VARIABLE: str(theirs)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs],
                process_group=0,
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._line = ours
        self._began = time.monotonic()
        self.is_leaving = False
        return self._process.pid

    def stop(self) -> None:
        """Ask it once to end in its own time."""
        if not self.is_leaving:
            self.is_leaving = True
            self._send(signal.SIGTERM)

    def hurry(self) -> None:
        """Skip its grace."""
        try:
            os.write(self._line, b"!")
        except BrokenPipeError:
            pass  # it is about to be reaped

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)  # not reaped yet, so the pid is its own

    def ended(self, code: int) -> float:
        """Take note that it was reaped; how long it lived, seconds."""
        assert self._process is not None
        self._process.returncode = code
        os.close(self._line)
        return time.monotonic() - self._began

    def next_pause(self, lived: float) -> float:
        """Seconds before the next start, after a process that died."""
        self._pause = FIRST_PAUSE if lived >= WELL or not self._pause else min(2 * self._pause, LONGEST_PAUSE)
        return self._pause
