"""One child process as its worker sees it: started, told what to run, interrupted, killed.

It leads a session and a process group of its own: Ctrl-C at the worker's terminal does not reach it, and
killing the group takes along whatever its jobs have started.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress

from aqueue._core.outcome import Lease
from aqueue.errors import SettingsError
from aqueue.worker.child_output import Output
from aqueue.worker.frames import LENGTHS, Frame, lengths, pack, unpack

#: Its arguments: descriptors of its socket and of the pipe that says when the worker is gone, and sys.path.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[3:]; from aqueue.worker import child; child.main(*sys.argv[1:3])"
)

#: Seconds that the interpreter and the imports may take.
START_TIMEOUT = 60.0


class ChildProcess:
    """A child process."""

    def __init__(self) -> None:
        """Start it; `start` waits until it is ready.

        Raises:
            OSError: No process can be started.
        """
        self._loop = asyncio.get_running_loop()
        with ExitStack() as ours, ExitStack() as theirs:
            self._socket, connection = socket.socketpair()
            ours.callback(self._socket.close)
            theirs.callback(connection.close)
            life, self._life = os.pipe()
            ours.callback(os.close, self._life)
            theirs.callback(os.close, life)
            output, write = os.pipe()
            ours.callback(os.close, output)
            theirs.callback(os.close, write)
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(connection.fileno()), str(life), *map(str, sys.path)],
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=write,
                pass_fds=(connection.fileno(), life),
                start_new_session=True,
            )
            ours.pop_all()  # they stay open
        self._output = Output(output, f"child process {self._process.pid}")
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        #: The lengths of a message whose rest is still to come.
        self._expected: tuple[int, int] | None = None
        #: Jobs that it was given.
        self.jobs: int = 0
        #: Since when it has nothing to do, in the loop's time.
        self.idle_since: float = 0.0
        #: It has the last job that it was given; maybe it runs no line of it.
        self.has_taken: bool = False
        self._gone = asyncio.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="aqueue-child", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its process id, and that of its group."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    async def start(self, setup: bytes) -> None:
        """Tell it what it needs to know, and wait until it is ready for jobs.

        Raises:
            SettingsError: It cannot use what it was told.
            RuntimeError: It ended, or took too long.
        """
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
        self._writer.write(pack({"kind": "setup"}, setup))
        try:
            async with asyncio.timeout(START_TIMEOUT):
                frame = await self._receive()
        except TimeoutError:
            raise RuntimeError(f"a child process was not ready after {START_TIMEOUT:g} s") from None
        if frame is None:
            self.kill()
            await self._gone.wait()
            raise RuntimeError(
                f"a child process {self.ending}, before it was ready; its output is in the log"
            )
        if frame[0]["kind"] == "broken":
            raise SettingsError(str(frame[0]["message"]))

    async def run(self, lease: Lease) -> Frame | None:
        """Let it run a job; how that ended, None: the process has ended. See `result` for a cancellation."""
        assert self._writer is not None
        self.jobs += 1
        self.has_taken = False
        self._output.owner = f"job {lease.job_id}"
        self._writer.write(pack({"kind": "call"}, pickle.dumps((lease.record, lease.token))))
        return await self.result()

    async def result(self) -> Frame | None:
        """What `run` waits for; may be called again after a cancellation."""
        while (frame := await self._receive()) is not None:
            self._output.drain()
            if frame[0]["kind"] != "taken":
                return frame
            self.has_taken = True
        self.kill()  # it may have closed the socket and live on
        await self._gone.wait()
        return None

    def interrupt(self, reason: str) -> None:
        """Cancel the job in it, which may clean up."""
        assert self._writer is not None
        self._writer.write(pack({"kind": "end", "reason": reason}))

    def dismiss(self) -> None:
        """Let it end by itself, now that it has nothing to do."""
        if self._writer is not None:
            self._writer.write(pack({"kind": "bye"}))

    def kill(self) -> None:
        """Kill it with its group."""
        with self._lock:
            if self.is_alive:
                _kill_group(self.pid)

    async def end(self) -> None:
        """Kill it, wait for its end and forget it; cancelled, it does not wait."""
        self.kill()
        try:
            await self._gone.wait()
        finally:
            self._output.close()
            os.close(self._life)
            if self._writer is not None:
                self._writer.close()
            else:
                self._socket.close()

    async def ended(self) -> None:
        """Wait for its end."""
        await self._gone.wait()

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None or code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")

    async def _receive(self) -> Frame | None:
        """The next message; None: there is none to come. May be cancelled and called again."""
        assert self._reader is not None
        try:
            if self._expected is None:
                self._expected = lengths(await self._reader.readexactly(LENGTHS.size))
            head, blob = self._expected
            data = await self._reader.readexactly(head + blob)
            self._expected = None
            return unpack(data, head)
        except (asyncio.IncompleteReadError, OSError, ValueError):
            return None

    def _watch(self) -> None:
        """Wait for its end in a thread, then take the rest of its group along."""
        if sys.platform != "darwin":  # while it is not waited for, no other process can have its id
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with self._lock:
                _kill_group(self.pid)
                self._process.wait()
        self._process.wait()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._has_gone)

    def _has_gone(self) -> None:
        self._gone.set()
        if self._reader is not None:  # another process may hold a copy of the socket: expect no end from it
            self._loop.call_later(0.5, self._reader.feed_eof)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
