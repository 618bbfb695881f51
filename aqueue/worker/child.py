"""The program of a child process: run one job after the other, as its worker says.

Its main thread runs the jobs; another one listens to the worker, so that a job can be interrupted. SIGTERM
alone ends nothing: a service manager sends it to all processes of a service, and the worker, which got it,
too, decides when its jobs have to end.
"""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import fcntl
import functools
import logging
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aqueue._core.failure import describe_exception
from aqueue._core.functions import UnknownFunction
from aqueue._core.options import class_names
from aqueue._core.outcome import Failed, Finished
from aqueue._core.record import JobRecord
from aqueue.connection import Namespace
from aqueue.current import current_job
from aqueue.errors import JobInterrupted
from aqueue.jobs import Job
from aqueue.worker.calling import Calls
from aqueue.worker.child_output import LONGEST, MARK
from aqueue.worker.copies import end_copy
from aqueue.worker.frames import LENGTHS, Frame, lengths, pack, unpack


def main(connection: str, life: str) -> None:
    """Run jobs until the worker has no more, or has gone.

    Args:
        connection: Descriptor of the socket to the worker.
        life: Descriptor of a pipe whose other end closes with the worker.
    """
    sys.argv[1:] = []
    _die_with_the_worker(int(life))
    faulthandler.enable(all_threads=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    Child(socket.socket(fileno=int(connection))).serve()


def _die_with_the_worker(life: int) -> None:
    """Let the kernel kill this group when the worker is gone, whatever its code does then.

    Elsewhere than on Linux the listening thread does, unless C code never lets it run.
    """
    os.set_inheritable(life, False)
    if sys.platform == "linux":
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)


class Child:
    """A child process, from within."""

    def __init__(self, connection: socket.socket) -> None:
        connection.set_inheritable(False)
        self._socket = connection
        self._pid = os.getpid()
        self._blobs: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        #: Why the job is to end.
        self._asked: str | None = None
        #: What interrupts the code that runs now; None while none of a job's does.
        self._interrupt: Callable[[str], None] | None = None

    def serve(self) -> None:
        """Run jobs until told to end."""
        signal.signal(signal.SIGTERM, self._signaled)
        threading.Thread(target=self._listen, name="aqueue-listener", daemon=True).start()
        blob = self._blobs.get()
        assert blob is not None
        try:
            space, root, levels = pickle.loads(blob)
        except Exception as error:
            self._send({"kind": "broken", "message": _broken(error)})
            return
        _log_to_the_worker(root, levels)
        calls = Calls(space.codec)
        self._send({"kind": "ready"})
        while (blob := self._blobs.get()) is not None:
            self._send({"kind": "taken"})
            signal.signal(signal.SIGTERM, self._signaled)  # a job may have put its own in its place
            record, token = pickle.loads(blob)
            frame = contextvars.copy_context().run(self._run, space, calls, record, token)
            self._interrupt = None
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
            self._send(*frame)

    def _send(self, head: dict[str, Any], blob: bytes = b"") -> None:
        self._socket.sendall(pack(head, blob))

    def _run(self, space: Namespace, calls: Calls, record: JobRecord, token: str) -> Frame:
        job: Job[Any] = Job(record, space)
        job._token = token
        job._asked = lambda: self._asked
        current_job.set(job)
        self._interrupt = functools.partial(_raise, job)  # also while the function's module is imported
        try:
            job.raise_if_stopped()
            function, is_async, args, kwargs = calls.prepare(record)
        except UnknownFunction:
            return {"kind": "unknown", "path": record.function}, b""
        except BaseException as error:
            return _failed(describe_exception(error))
        try:
            if is_async:
                value, raised = asyncio.run(self._in_task(job, function, args, kwargs))
            else:
                value, raised = self._in_main_thread(function, args, kwargs)
        except BaseException as error:  # by asyncio.run: a child task has ended the loop
            value, raised = None, error
        end_copy(self._pid, raised)
        if raised is not None:
            return _failed(describe_exception(raised, hide=__file__), type(raised))
        ended = calls.finished(record, value)
        if isinstance(ended, Failed):
            return _failed(ended)
        return _finished(ended)

    async def _in_task(
        self, job: Job[Any], function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, BaseException | None]:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt(reason: str) -> None:
            loop.call_soon_threadsafe(task.cancel, f"aqueue: {reason}")

        self._interrupt = interrupt
        try:
            job.raise_if_stopped()
            return await function(*args, **kwargs), None
        except BaseException as error:
            return None, error
        finally:
            self._interrupt = None

    def _in_main_thread(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, BaseException | None]:
        try:
            return function(*args, **kwargs), None
        except BaseException as error:
            return None, error
        finally:
            self._interrupt = None

    def _signaled(self, *_: Any) -> None:
        """Interrupt the job in the main thread, which runs this; once."""
        interrupt = self._interrupt
        if self._asked is not None and interrupt is not None:
            self._interrupt = None
            interrupt(self._asked)

    def _listen(self) -> None:
        with suppress(OSError, ValueError, EOFError):
            while True:
                head, blob = self._receive()
                match head["kind"]:
                    case "end":
                        self._asked = head["reason"]
                        signal.pthread_kill(_main_thread(), signal.SIGTERM)
                    case "bye":
                        self._blobs.put(None)
                    case _:
                        self._blobs.put(blob)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    def _receive(self) -> Frame:
        head, blob = lengths(self._read(LENGTHS.size))
        return unpack(self._read(head + blob), head)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._socket.recv(min(count - len(data), 1_048_576))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


def _raise(job: Job[Any], reason: str) -> None:
    raise JobInterrupted(job.id, reason)


def _main_thread() -> int:
    ident = threading.main_thread().ident
    assert ident is not None
    return ident


def _finished(outcome: Finished) -> Frame:
    return {"kind": "finished", "has_result": outcome.result is not None}, outcome.result or b""


def _failed(failure: Failed, raised: type[BaseException] | None = None) -> Frame:
    """How a job failed; without `raised` it is never retried."""
    names = [] if raised is None else sorted(class_names(raised))
    head = {
        "kind": "failed", "type": failure.type, "message": failure.message, "traceback": failure.traceback,
        "names": names,
    }  # fmt: skip
    return head, b""


def _broken(error: Exception) -> str:
    return (
        'executor="process" cannot be used here: a child process cannot load the connection and the '
        f"serializer ({describe_exception(error).message}). Their classes must not stand in __main__"
    )


class _PipeHandler(logging.Handler):
    """Writes records where the worker finds their level and their logger."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            start = f"{MARK}{record.levelno} {record.name.replace(' ', '_')} "
            for line in self.format(record).splitlines():
                text = (start + line).encode("utf-8", "backslashreplace")
                os.write(2, text[:LONGEST] + b"\n")
        except Exception:
            self.handleError(record)


def _log_to_the_worker(root: int, levels: dict[str, int]) -> None:
    """Log what the worker would log, there."""
    logging.root.addHandler(_PipeHandler())
    logging.root.setLevel(root)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
