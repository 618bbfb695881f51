"""A pseudo-terminal with a command in it: what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A process whose input and output are a terminal."""

    def __init__(self, command: list[str], *, columns: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        unset = {"NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR"}
        env = {name: value for name, value in os.environ.items() if name not in unset}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**env, "TERM": "xterm-256color"},
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._output = b""

    @property
    def output(self) -> str:
        """All that was written so far, with its escape sequences."""
        return self._output.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """The output without them."""
        return _ESCAPES.sub("", self.output)

    def read_until(self, text: str, *, times: int = 1, timeout: float = 15.0) -> None:
        """Read until the text has come so many times."""
        deadline = time.monotonic() + timeout
        while self.text.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in {self.output!r}"
            assert self._read(deadline - time.monotonic()), f"ended without {text!r}: {self.output!r}"

    def wait(self, timeout: float = 15.0) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"not ended: {self.output!r}"
        return self.process.wait()

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self._master)

    def _read(self, timeout: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, timeout))
        if not ready:
            return True
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # Linux says so when the process has ended
            return False
        self._output += chunk
        return bool(chunk)


def is_running(pid: int) -> bool:
    """Whether the process runs: one that has ended and only waits for its parent does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except FileNotFoundError:
        return not os.path.exists("/proc/self")
