"""Each way in which a real server can refuse or lose a call, and its cure."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import BusyLoadingError

from tests.api.admin import admin
from tests.clusters import is_up
from tests.servers import Server, free_port

#: Brings the trouble about and returns its cure.
Bring = Callable[[Server], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """One answer of Redis, or none."""

    name: str
    bring: Bring
    #: What `redis-cli` would show for a command that our calls use; "" where there is no answer at all.
    answer: str
    #: Settings that the server needs for it.
    settings: tuple[str, ...] = ()
    #: The command that shows it.
    probe: tuple[str, ...] = ("SET", "probe", "1")

    @contextmanager
    def on(self, server: Server) -> Generator[Callable[[], None]]:
        """The trouble lasts until it is cured, or the block ends."""
        cure = self.bring(server)
        cured = False

        def once() -> None:
            nonlocal cured
            if not cured:
                cured = True
                cure()

        try:
            yield once
        finally:
            once()

    def answer_of(self, server: Server) -> str:
        """What the server answers to the probe now."""
        with socket.create_connection(("127.0.0.1", server.port), 5) as sock:
            sock.sendall((" ".join(self.probe) + "\r\n").encode())
            return sock.recv(1000).decode()


def _set(server: Server, *command: str) -> Any:
    with admin(server) as client:
        return client.execute_command(*command)


def _setting(name: str, bad: str, good: str) -> Bring:
    def bring(server: Server) -> Callable[[], None]:
        _set(server, "CONFIG", "SET", name, bad)
        return lambda: _set(server, "CONFIG", "SET", name, good)

    return bring


def _replica(server: Server) -> Callable[[], None]:
    _set(server, "REPLICAOF", "127.0.0.1", str(free_port()))
    return lambda: _set(server, "REPLICAOF", "NO", "ONE")


def _disk(server: Server) -> Callable[[], None]:
    """A snapshot that cannot be written: its folder is gone."""
    folder = server.folder / "snapshots"
    folder.mkdir()
    _set(server, "CONFIG", "SET", "dir", str(folder))
    _set(server, "CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(folder)
    with admin(server) as client:
        client.set("changed", 1)
        client.bgsave()
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            pass

    def cure() -> None:
        _set(server, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")

    return cure


def _busy(server: Server) -> Callable[[], None]:
    """Somebody else's script does not end."""
    _set(server, "CONFIG", "SET", "busy-reply-threshold", "20")

    def spin() -> None:
        with admin(server) as client:
            try:
                client.execute_command("EVAL", "while true do end", "0")
            except redis.ResponseError:
                pass

    thread = threading.Thread(target=spin)
    thread.start()
    while not _is_busy(server):
        pass

    def cure() -> None:
        while True:
            try:
                _set(server, "SCRIPT", "KILL")
                break
            except redis.ResponseError as error:
                if "NOTBUSY" in str(error) and not thread.is_alive():
                    break
        thread.join()

    return cure


def _is_busy(server: Server) -> bool:
    try:
        _set(server, "PING")
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def _forgotten(server: Server) -> Callable[[], None]:
    _set(server, "SCRIPT", "FLUSH")
    return lambda: None


def _crowded(server: Server) -> Callable[[], None]:
    client = redis.Redis(port=server.port, retry=None)  # type: ignore[arg-type]  # keeps the one place
    client.execute_command("CONFIG", "SET", "maxclients", "1")  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
    client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]

    def cure() -> None:
        client.execute_command("CONFIG", "SET", "maxclients", "1000")  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        client.close()

    return cure


def _cut(server: Server) -> Callable[[], None]:
    server.kill()
    return server.start


def _frozen(server: Server) -> Callable[[], None]:
    server.freeze()
    return server.thaw


def _loading(server: Server) -> Callable[[], None]:
    """A restart with so much data that reading it takes about a second."""
    with admin(server) as client:
        client.mset({f"filler{number}": "x" * 200 for number in range(500)})
        client.execute_command("BGREWRITEAOF")
        while client.info("persistence")["aof_rewrite_in_progress"]:
            pass
    thread = threading.Thread(target=server.restart)
    thread.start()
    while not _is_loading(server):
        pass
    return thread.join


def _is_loading(server: Server) -> bool:
    try:
        _set(server, "PING")
    except BusyLoadingError:
        return True
    except redis.ConnectionError:
        pass
    return False


def _stale(server: Server) -> Callable[[], None]:
    _set(server, "CONFIG", "SET", "replica-serve-stale-data", "no")
    return _replica(server)


def _locked(server: Server) -> Callable[[], None]:
    """A password from now on, asked of those who are connected, too."""
    client = redis.Redis(port=server.port, retry=None)  # type: ignore[arg-type]
    untyped: Any = client
    run = untyped.execute_command
    run("CONFIG", "SET", "requirepass", "secret")
    run("AUTH", "secret")
    run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    run("CLIENT", "KILL", "TYPE", "pubsub")

    def cure() -> None:
        run("CONFIG", "SET", "requirepass", "")
        client.close()

    return cure


def _forbidden(server: Server) -> Callable[[], None]:
    _set(server, "ACL", "SETUSER", "default", "-evalsha")
    return lambda: _set(server, "ACL", "SETUSER", "default", "+@all")


def _unslotted(server: Server) -> Callable[[], None]:
    """A slot that is not ours stands for all."""
    _set(server, "CLUSTER", "DELSLOTSRANGE", "0", "0")
    while is_up(server):
        pass
    return lambda: _set(server, "CLUSTER", "ADDSLOTSRANGE", "0", "0")


OOM = Trouble("OOM", _setting("maxmemory", "1", "0"), "-OOM")

#: Those that are waited for, by programs and workers alike.
PASSING = [
    Trouble(
        "LOADING",
        _loading,
        "-LOADING",
        ("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"),
    ),
    Trouble("READONLY", _replica, "-READONLY"),
    Trouble("MASTERDOWN", _stale, "-MASTERDOWN", probe=("GET", "probe")),
    Trouble("MISCONF", _disk, "-MISCONF", ("--enable-protected-configs", "local")),
    Trouble("BUSY", _busy, "-BUSY"),
    Trouble("NOREPLICAS", _setting("min-replicas-to-write", "1", "0"), "-NOREPLICAS"),
    Trouble("CLUSTERDOWN", _unslotted, "-CLUSTERDOWN", ("--cluster-enabled", "yes")),
    Trouble("NOSCRIPT", _forgotten, "-NOSCRIPT", probe=("EVALSHA", "0" * 40, "0")),
    Trouble("maxclients", _crowded, "-ERR max number of clients reached"),
    Trouble("killed", _cut, ""),
    Trouble("frozen", _frozen, ""),
]

#: Those that programs are told at once, and that workers wait out for five minutes.
REFUSING = [
    Trouble("NOAUTH", _locked, "-NOAUTH"),
    Trouble("NOPERM", _forbidden, "-NOPERM", probe=("EVALSHA", "0" * 40, "0")),
]
