"""Keep one embedded server alive for as long as somebody owns it, then end it.

A program of its own, which `aqueue.embedded` runs by path: `python -I -S _guardian.py BINARY FOLDER SOCKET
LOCK`, with the read end of the owners' FIFO as its standard input and the server's log as its output. It must
import nothing of aqueue and nothing that is slow to import, because every start of a server waits for it.

Owners hold the write end of the FIFO open, so the kernel tells of the end of the last one, however it ended.
The guardian is in a session of its own and ignores the usual signals: Ctrl-C, or a service manager that
signals all the processes of a service, must not take the server away from an owner that still drains.

Three files in the folder say who may do what; none is ever removed, so that all processes mean the same file:

- `aqueue.lock`, flock: held to join, start and end the server, so that nobody joins one that is ending.
- `aqueue.owners`, the FIFO. It has a reader exactly as long as a guardian lives.
- `aqueue.pid`, lockf: held by the server process itself, for which the kernel lets go of it. Its text is the
  process id of the holder.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable

LOCK_FILE = "aqueue.lock"
OWNERS_FILE = "aqueue.owners"
PID_FILE = "aqueue.pid"

_OWNERS = 0  # standard input: the read end of the FIFO, non-blocking
_STOP_SECONDS = 10.0  # for a server to flush and exit by itself
_TOO_SHORT_SECONDS = 1.0  # a server that lived shorter would die again at once
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Clear the ground, go to the background, and stay until the last owner has gone.

    Whoever started this program waits for the first process only, which shares the lock: nobody can join, and
    be answered by a server that is about to be ended, before the ground is clear.
    """
    binary, folder, socket_path, lock = sys.argv[1:]
    os.umask(0o077)
    os.chdir(folder)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    _end_orphan()
    if os.path.lexists(socket_path):
        os.unlink(socket_path)
    if os.fork():
        os._exit(0)
    os.close(int(lock))
    _guard(folder, _command(binary, folder, socket_path))


def _command(binary: str, folder: str, socket_path: str) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "dir": folder,
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",  # standard output, our log: there the loader's and our own complaints land too
        "locale-collate": "C",  # never what the environment of the first owner happened to say
    }
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


def _guard(folder: str, command: list[str]) -> None:
    child_ended = _child_signal()
    server, since = _spawn(command), time.monotonic()
    while True:
        ready, _, _ = select.select([_OWNERS, child_ended], [], [])
        if child_ended in ready:
            os.read(child_ended, 64)
        if not _has_owners() and _ended_for_good(folder, server):
            return
        pid, status = os.waitpid(server, os.WNOHANG)
        if pid:
            if _is_hopeless(status, time.monotonic() - since):
                _say(f"the server ended with wait status {status} and is not started again")
                return
            _say(f"the server ended with wait status {status} and is started again: it has owners")
            server, since = _spawn(command), time.monotonic()


def _child_signal() -> int:
    """A descriptor that becomes readable when a child ends: polling would wake the machine for nothing."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, _do_nothing)  # an ignored signal would not wake anybody
    signal.set_wakeup_fd(writer)
    return reader


def _do_nothing(*_: object) -> None:
    pass


def _has_owners() -> bool:
    try:
        return os.read(_OWNERS, 64) != b""
    except BlockingIOError:
        return True


def _ended_for_good(folder: str, server: int) -> bool:
    """End the server, unless an owner has joined meanwhile.

    The lock is held until this process exits, and the FIFO closed before: the next holder finds no reader.
    """
    if not _is_still(folder):
        # The folder was removed or replaced, so there is nothing to save. A server that may clean up would
        # remove the socket of its successor in the new folder, which has the same path.
        os.kill(server, signal.SIGKILL)
        return True
    lock = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if _has_owners():
        os.close(lock)
        return False
    _end(server, lambda: os.waitpid(server, os.WNOHANG)[0] == 0)
    os.close(_OWNERS)
    return True


def _is_still(folder: str) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.stat("."))
    except FileNotFoundError:
        return False


def _is_hopeless(status: int, lived: float) -> bool:
    """Whether the server would end the same way again.

    It exits with an error when it cannot work, such as on a broken AOF. Exit 0 was somebody's SIGTERM or
    SHUTDOWN, a signal was a crash or the kernel short of memory: then its owners want it back.
    """
    return os.waitstatus_to_exitcode(status) > 0 or lived < _TOO_SHORT_SECONDS


def _end(pid: int, is_alive: Callable[[], bool]) -> None:
    patience = time.monotonic() + _STOP_SECONDS
    _kill(pid, signal.SIGTERM)
    while is_alive():
        if time.monotonic() > patience:
            _kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _end_orphan() -> None:
    """End a server whose guardian was killed: nobody else will, and two must never write to one folder."""
    descriptor = os.open(PID_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    while _is_held(descriptor):
        if text := os.pread(descriptor, 20, 0):
            _end(int(text), lambda: _is_held(descriptor))
        time.sleep(0.002)
    os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows both
        return True
    return False


def _spawn(command: list[str]) -> int:
    os.truncate(PID_FILE, 0)  # so that it never names a former server, whose id may be anybody's by now
    guardian = os.getpid()
    server = os.fork()
    if not server:
        try:
            _become_server(command, guardian)
        except Exception as error:
            _say(f"cannot run the server: {error}")
        os._exit(1)
    return server


def _become_server(command: list[str], guardian: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _die_with(guardian)
    # Held across exec, and not by the server's own children. Opened here and nowhere before: closing any
    # descriptor of this file in this process lets go of the lock.
    descriptor = os.open(PID_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _OWNERS)
    os.execv(command[0], command)


def _die_with(guardian: int) -> None:
    """Have the kernel end this process when the guardian is killed. Linux only; else the next one does."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != guardian:
        raise ProcessLookupError("the guardian has ended")


def _say(message: str) -> None:
    os.write(2, f"{os.getpid()}:aqueue {message}\n".encode())


if __name__ == "__main__":
    main()
