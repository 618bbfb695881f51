"""What child processes print and log, into the worker's logs: a line each, with the job that it belongs to.

A child's standard output and error are one pipe. Lines that its logging handler writes begin with a mark, the
level and the logger's name; all others were printed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from aqueue._core.logs import get_logger
from aqueue._core.text import printable

#: For what was printed.
logger: logging.Logger = get_logger("aqueue.job")

#: Begins a line from the child's logging handler.
MARK = "\x1e"
#: The longest line, bytes; what is longer is cut. A pipe takes so much at once, unmixed with other lines.
LONGEST = 4_000
#: Lines per second and child; more are counted and left out.
MOST = 200

_CHUNK = 65_536
_PAUSE = 0.05


class Output:
    """The reading end of a child's pipe."""

    def __init__(self, fd: int, owner: str) -> None:
        """Read and log until closed.

        Args:
            owner: Whose lines they are while no job is.
        """
        os.set_blocking(fd, False)
        #: Whose lines these are.
        self.owner = owner
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self._since = 0.0
        self._count = self._left_out = 0
        self._is_open = True
        self._loop.add_reader(fd, self._readable)

    def drain(self) -> None:
        """Log what is in the pipe: all that its job has written is, once its reply has come."""
        for _ in range(4):
            if not self._read():
                break
        if self._rest:
            self._log(self._rest)
            self._rest = b""
        self._tell_left_out()

    def close(self) -> None:
        """Log what is left, and read no more."""
        if self._is_open:
            self.drain()
            self._is_open = False
            self._loop.remove_reader(self._fd)
            os.close(self._fd)

    def _readable(self) -> None:
        if self._read() == b"":  # everybody who could write has ended
            self._loop.remove_reader(self._fd)
        elif self._left_out:  # somebody writes faster than anybody can read: not at the cost of other jobs
            self._loop.remove_reader(self._fd)
            self._loop.call_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._fd, self._readable)

    def _read(self) -> bytes | None:
        """Take in what has come; nothing at the end of the pipe, None while it is empty."""
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return None
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: LONGEST + 1]
        for line in lines:
            self._log(line)
        return data

    def _log(self, line: bytes) -> None:
        now = self._loop.time()
        if now - self._since >= 1:
            self._tell_left_out()
            self._since, self._count = now, 0
        self._count += 1
        if self._count > MOST:
            self._left_out += 1
            return
        text = line[:LONGEST].decode("utf-8", "replace")
        if text.startswith(MARK):
            level, _, named = text[1:].partition(" ")
            name, _, message = named.partition(" ")
            if level.isdecimal() and len(level) < 4:
                message = printable(message, keep="\t")
                logging.getLogger(printable(name)).log(int(level), "%s: %s", self.owner, message)
                return
        self._print(printable(text.rstrip("\r"), keep="\t"))

    def _tell_left_out(self) -> None:
        if self._left_out:
            self._print(f"({self._left_out:,} lines left out: more than {MOST} in a second)")
            self._left_out = 0

    def _print(self, text: str) -> None:
        if logger.hasHandlers():
            logger.info("%s: %s", self.owner, text)
        elif sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stderr.write(f"{self.owner}: {text}\n")
