"""A master with replicas, and the sentinels that watch it."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import redis

from tests.servers import Server, free_port, valkey_binary

SERVICE = "mymaster"
#: Seconds; sentinels take half a minute until they use a master that came back.
_TRIED = 60.0


def wait_for(predicate: Callable[[], Any], description: str) -> Any:
    """What the predicate returns once that is true; while a server is away, it is not."""
    deadline = time.monotonic() + _TRIED
    while True:
        with contextlib.suppress(redis.RedisError):
            value = predicate()
            if value:
                return value
        assert time.monotonic() < deadline, f"not within {_TRIED:g} s: {description}"
        time.sleep(0.01)


class Sentinel:
    """One sentinel process."""

    def __init__(
        self,
        master: int,
        *settings: str,
        quorum: int = 2,
        binary: str | None = None,
        encrypted: bool = False,
    ) -> None:
        """Watch the server at a port; `encrypted`: it speaks TLS, as `settings` say."""
        self.folder = Path(tempfile.mkdtemp(prefix="aqueue-test-"))
        self.port = free_port()
        lines = [
            f"port 0\ntls-port {self.port}" if encrypted else f"port {self.port}",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
            *settings,
        ]
        (self.folder / "conf").write_text("\n".join(lines) + "\n")
        self._command = [binary or valkey_binary(), str(self.folder / "conf"), "--sentinel"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def client(self, **options: Any) -> Any:
        """A client of the sentinel itself."""
        return redis.Redis("127.0.0.1", self.port, decode_responses=True, socket_timeout=2, **options)


class SentinelSet:
    """One master, some replicas in sync with it, and sentinels that know each other and them."""

    def __init__(
        self,
        *settings: str,
        replicas: int = 1,
        sentinels: int = 3,
        binary: str | None = None,
        watching: tuple[str, ...] = (),
    ) -> None:
        """Name what servers and sentinels are started with: `settings` and `watching`."""
        self._settings = (*settings, "--repl-diskless-sync-delay", "0", "--repl-timeout", "3")
        self._binary = binary
        self._watching = watching
        self._replicas = replicas
        self._quorum = sentinels // 2 + 1
        self._wanted = sentinels
        self._rules: tuple[str, ...] | None = None
        self.servers: list[Server] = []
        self.sentinels: list[Sentinel] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def limited(self, *more: str) -> Self:
        """Before the start: let `url` be that of the smallest user, who may do so much more."""
        self._rules = more
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sentinel in self.sentinels:
            sentinel.kill()
            shutil.rmtree(sentinel.folder, ignore_errors=True)
        for server in self.servers:
            server.__exit__()

    def _start(self) -> None:
        first = self._add()
        for _ in range(self._replicas):
            self._add("--replicaof", "127.0.0.1", str(first.port))
        self.wait_in_sync()
        for _ in range(self._wanted):
            sentinel = Sentinel(first.port, *self._watching, quorum=self._quorum, binary=self._binary)
            self.sentinels.append(sentinel)
            sentinel.start()
        self.wait_watched()

    def _add(self, *settings: str) -> Server:
        server = Server(*self._settings, *settings, binary=self._binary)
        self.servers.append(server)
        if self._rules is not None:
            server.limited("aqueue", *self._rules)
        server.start()
        return server

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        user, at, _ = urlsplit(self.servers[0].url).netloc.rpartition("@")
        return f"sentinel://{user}{at}{hosts}/{SERVICE}/0"

    @property
    def master(self) -> Server:
        """The server that most sentinels call the master."""
        ports = [
            int(sentinel.client().sentinel_get_master_addr_by_name(SERVICE)[1]) for sentinel in self.sentinels
        ]
        port = max(ports, key=ports.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def failovers(self) -> int:
        """How often the sentinels have named another master."""
        told = [sentinel.client().sentinel_master(SERVICE)["config-epoch"] for sentinel in self.sentinels]
        return max(map(int, told))

    def point_at(self, server: Server) -> None:
        """Let the sentinels name this server from now on, without a failover and without a word."""
        for sentinel in self.sentinels:
            client = sentinel.client()
            client.sentinel_remove(SERVICE)
            client.sentinel_monitor(SERVICE, "127.0.0.1", server.port, self._quorum)

    def wait_in_sync(self) -> None:
        """Wait until each replica has what its master has."""
        for server in self.servers:
            wait_for(functools.partial(_is_in_sync, server), "a replica in sync")

    def wait_watched(self) -> None:
        """Wait until all sentinels know each other and all servers, and believe all well."""
        for sentinel in self.sentinels:
            wait_for(functools.partial(self._is_watched, sentinel.client()), "sentinels that watch")

    def _is_watched(self, client: Any) -> bool:
        state = client.sentinel_master(SERVICE)
        others = (state["num-other-sentinels"], state["num-slaves"])
        down = client.sentinel_slaves(SERVICE)
        return (
            others == (self._wanted - 1, len(self.servers) - 1)
            and not state["is_sdown"]
            and not any(replica["is_sdown"] or replica["master-link-status"] != "ok" for replica in down)
        )

    @contextlib.contextmanager
    def moving(self) -> Generator[Server]:
        """Wait after the block until the sentinels have made another server master; gives the old one."""
        before = self.master
        yield before
        wait_for(lambda: self.master is not before, "another master")

    def fail_over(self) -> None:
        """Make a replica the master while the present one is alive."""
        with self.moving():
            client = self.sentinels[0].client()
            wait_for(lambda: client.execute_command("SENTINEL FAILOVER", SERVICE), "a failover that begins")


def _is_in_sync(server: Server) -> bool:
    client: Any = server.client()
    info = client.info("replication")
    return bool(info["role"] == "master" or info["master_link_status"] == "up")
