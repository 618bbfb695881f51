"""Where the sentinels of a master are, and what this process has open towards the masters they named.

Sentinel moves the master without telling clients. So each new connection asks for it, and when that leads
elsewhere than before, all that is open to other addresses is cut: whoever used it connects again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit
from weakref import WeakKeyDictionary

from redis.exceptions import InvalidResponse

Address = tuple[str, int]

DEFAULT_PORT = 26379
#: Seconds that one sentinel has for its answer, before the next is asked.
PATIENCE = 1.0
#: Seconds after which a thread's connection is used for no further call. Loops hear of a new master at once
#: (see `Watch`), while the old one may be up and take jobs that nobody will run for ten seconds more.
RENEWAL = 1.0


class Sentinels:
    """The sentinels of one master."""

    def __init__(
        self,
        hosts: Sequence[Address],
        service: str,
        kind: str,
        options: Mapping[str, Any],
        forced_host: str | None = None,
    ) -> None:
        """Name them.

        Args:
            service: The master's name.
            kind: Name of redis-py's connection class, towards the sentinels.
            options: Keyword arguments of the class.
            forced_host: Used in place of the host that they name.
        """
        self.service = service
        self.kind = kind
        self.options = options
        self._forced_host = forced_host
        #: In the order in which they are asked.
        self.hosts: tuple[Address, ...] = tuple(hosts)
        #: Where the master was last found.
        self.master: Address | None = None
        self.forget()

    def __reduce__(self) -> tuple[type[Sentinels], tuple[Any, ...]]:
        """As a copy in another process: without what is open in this one."""
        return Sentinels, (self.hosts, self.service, self.kind, self.options, self._forced_host)

    def forget(self) -> None:
        """After a fork, in the child: what is open is the parent's."""
        self._lock = threading.Lock()
        self._open: WeakKeyDictionary[Any, tuple[Address, float, Callable[[Any], None]]] = WeakKeyDictionary()

    def named(self, reply: Sequence[bytes]) -> Address:
        """The master as a sentinel names it.

        Raises:
            redis.exceptions.InvalidResponse: That is no address.
        """
        try:
            name, text = reply
            host, port = self._forced_host or name.decode(), int(text)
            if not 0 < port < 65_536:
                raise ValueError
            return host, port
        except (ValueError, TypeError, AttributeError):
            raise InvalidResponse(f"it names no address: {reply!r:.80}") from None

    def led(self, host: Address) -> None:
        """This one answers: it is asked first from now on."""
        self.hosts = (host, *(other for other in self.hosts if other != host))

    def misled(self, host: Address) -> None:
        """What this one named is not the master, or not yet: it is asked last."""
        self.hosts = (*(other for other in self.hosts if other != host), host)

    def reached(self, connection: Any, address: Address, cut: Callable[[Any], None]) -> None:
        """Note a connection to the master, and cut those to other addresses.

        Args:
            cut: Ends the connection, called from any thread.
        """
        with self._lock:
            self._open[connection] = (address, time.monotonic(), cut)
        self.moved(address)

    def moved(self, address: Address) -> None:
        """The master is here: cut all connections to other addresses."""
        with self._lock:
            self.master = address
            outdated = [(other, end) for other, (at, _, end) in self._open.items() if at != address]
            for other, _ in outdated:
                del self._open[other]
        for other, end in outdated:
            end(other)

    def is_due(self, connection: Any) -> bool:
        """Whether it is to be used no further: cut, or some time ago that the sentinels were asked."""
        with self._lock:
            known = self._open.get(connection)
        return known is None or time.monotonic() - known[1] > RENEWAL


def read_hosts(text: str) -> list[Address]:
    """`h1:26379,h2` as addresses.

    Raises:
        ValueError: One of them is none; the message says which part.
    """
    hosts: list[Address] = []
    for part in text.split(","):
        try:
            parsed = urlsplit(f"//{part}")
            host, port = parsed.hostname, parsed.port
        except ValueError:
            raise ValueError(f"{part!r} is no sentinel's host:port") from None
        if not host or parsed.path:
            raise ValueError(f"{part!r} is no sentinel's host:port")
        hosts.append((unquote(host), DEFAULT_PORT if port is None else port))
    return hosts


def show_hosts(hosts: Sequence[Address]) -> str:
    """As in a URL."""
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in hosts)
