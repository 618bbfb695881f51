"""Where Redis is: a URL or the user's own client, turned into connections that aqueue makes itself.

Ours differ from the user's on purpose: RESP2 (RESP3 pools hand out dead connections in
redis-py 8.1), bytes, no client-side retries (redis-py repeats commands that are not safe to
repeat) and no socket timeout (every call has a deadline of ours instead).
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio.connection as async_connections
import redis.connection as sync_connections
from redis import Redis as SyncRedis
from redis.asyncio import Redis as AsyncRedis

from aqueue.errors import SettingsError

DEFAULT_URL = "redis://localhost:6379/0"
CONNECT_TIMEOUT = 2.0

_ESCAPE = "in a password, write / as %2F, ? as %3F, # as %23 and @ as %40"

#: Connection settings that are taken over; the rest of a client's are its own affair.
_KEPT = {
    "host", "port", "path", "db", "username", "password", "credential_provider", "client_name",
    "socket_keepalive", "socket_keepalive_options", "socket_type", "socket_connect_timeout",
}  # fmt: skip
_SCHEMES = ("redis", "rediss", "unix")
_CLASSES = ("SSLConnection", "UnixDomainSocketConnection", "Connection")


@dataclass(frozen=True)
class Source:
    """One Redis: how to connect to it, and what to call it in messages."""

    #: Name of redis-py's connection class, which has an asynchronous and a synchronous form.
    kind: str
    #: Keyword arguments of the class.
    options: Mapping[str, Any] = field(repr=False)
    #: The URL without its secrets.
    shown: str
    #: Starts the server and gives the path of its socket, where the server is ours to start. Blocks.
    start: Callable[[], str] | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it, by what it is called: names are not looked up."""
        if self.start is not None or self.kind == "UnixDomainSocketConnection":
            return True
        host = str(self.options.get("host", "localhost")).lower()
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def async_connection(self, path: str | None = None) -> async_connections.AbstractConnection:
        """A connection for the running loop, not yet connected; `path` is what `start` gave."""
        make = getattr(async_connections, self.kind)
        return make(**self._settings(path), socket_timeout=None)  # type: ignore[no-any-return]

    def sync_connection(
        self, path: str | None = None, *, timeout: float
    ) -> sync_connections.AbstractConnection:
        """A blocking connection, not yet connected, whose reads and writes end after `timeout` seconds."""
        make = getattr(sync_connections, self.kind)
        settings = self._settings(path) | {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        return make(**settings)  # type: ignore[no-any-return]

    def _settings(self, path: str | None) -> dict[str, Any]:
        settings: dict[str, Any] = {"socket_connect_timeout": CONNECT_TIMEOUT, **self.options}
        if path is not None:
            settings["path"] = path
        return settings | {"protocol": 2, "decode_responses": False, "health_check_interval": 0}


def mask(url: str) -> str:
    """The URL without user name, password and query; its scheme alone when it is unclear where they end."""
    scheme, _, rest = url.partition("://")
    secret, at, public = rest.rpartition("@")
    if set("/?#").intersection(secret):
        return f"{scheme}://***"
    return f"{scheme}://{'***@' if at else ''}{public.partition('?')[0].partition('#')[0]}"


def from_url(url: str) -> Source:
    """The source that a URL names.

    Raises:
        SettingsError: An unknown scheme, or a URL that cannot be read.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme == "embedded":
        from aqueue.embedded import check_url, ensure_server  # the server's wheel is an extra

        check_url(url)
        return Source("UnixDomainSocketConnection", {}, url, functools.partial(ensure_server, url))
    if scheme not in _SCHEMES:
        shown = mask(url) if scheme else "(no scheme)"
        raise SettingsError(
            f"cannot use the URL {shown}: it must begin with redis://, rediss://, unix:// or embedded://"
        )
    try:
        options = dict(async_connections.parse_url(url))
    except ValueError as error:
        shown = mask(url)
        reason = _ESCAPE if shown.endswith("://***") else error  # which may quote a part of the password
        raise SettingsError(f"cannot use the URL {shown}: {reason}") from None
    kind = options.pop("connection_class", async_connections.Connection)
    return Source(_class_name(kind), _kept(options), mask(url))  # type: ignore[arg-type]


def from_client(client: object) -> Source:
    """The source of a redis-py client, asynchronous or not, decoding or not.

    Raises:
        SettingsError: Not a client of a single Redis server.
    """
    if not isinstance(client, SyncRedis | AsyncRedis):
        raise SettingsError(f"connection={type(client).__name__} object: give a redis.asyncio.Redis or a URL")
    pool: Any = client.connection_pool
    if hasattr(pool, "sentinel_manager"):
        raise SettingsError(
            "connection= is a Sentinel client: these are not supported yet, give the master's URL"
        )
    options: dict[str, Any] = pool.connection_kwargs
    return Source(_class_name(pool.connection_class), _kept(options), _shown(options))


def _class_name(kind: type) -> str:
    """The redis-py class that a connection class is or extends."""
    names = {base.__name__ for base in kind.__mro__}
    for name in _CLASSES:
        if name in names:
            return name
    raise SettingsError(
        f"cannot connect through {kind.__name__}: it is none of redis-py's connection classes"
    )


def _kept(options: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in options.items() if name in _KEPT or name.startswith("ssl_")}
    return {name: value for name, value in kept.items() if value is not None}


def _shown(options: Mapping[str, Any]) -> str:
    database = options.get("db") or 0
    secret = "***@" if options.get("password") else ""
    if options.get("path"):
        return f"unix://{secret}{options['path']}?db={database}"
    return f"redis://{secret}{options.get('host', 'localhost')}:{options.get('port', 6379)}/{database}"
