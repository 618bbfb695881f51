"""Where Redis is: a URL or the user's own client, turned into connections that aqueue makes itself.

Ours differ from the user's on purpose: RESP2 (RESP3 pools hand out dead connections in
redis-py 8.1), bytes, no client-side retries (redis-py repeats commands that are not safe to
repeat) and no socket timeout (every call has a deadline of ours instead).
"""

from __future__ import annotations

import functools
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote

import redis.asyncio.connection as async_connections
import redis.connection as sync_connections
from redis import Redis as SyncRedis
from redis import RedisCluster as SyncCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncCluster
from redis.exceptions import RedisError, ResponseError

from aqueue._core.logs import get_logger
from aqueue._core.secrets import keep
from aqueue._redis.sentinels import Address, Sentinels, read_hosts, show_hosts
from aqueue.errors import SettingsError

logger = get_logger("aqueue")

DEFAULT_URL = "redis://localhost:6379/0"
CONNECT_TIMEOUT = 2.0

_ESCAPE = "in a password, write / as %2F, ? as %3F, # as %23 and @ as %40"

#: Connection settings that are taken over; the rest of a client's are its own affair.
_KEPT = {
    "host", "port", "path", "db", "username", "password", "credential_provider", "client_name",
    "socket_keepalive", "socket_keepalive_options", "socket_type", "socket_connect_timeout",
}  # fmt: skip
#: Those of them that nobody else is to know.
_SECRETS = frozenset({"password", "credential_provider", "ssl_password"})
#: Those that are no text.
_OBJECTS = frozenset({"credential_provider", "socket_keepalive_options", "socket_type"})
#: Those that name a file.
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_SCHEMES = ("redis", "rediss", "unix")
_SENTINEL_SCHEMES = ("sentinel", "sentinels")
_SENTINEL_FORM = "write sentinel://host:26379,host:26379/mymaster/0"
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
    #: Who tells where it is, where its address is not fixed.
    sentinels: Sentinels | None = None

    def __reduce__(self) -> tuple[type[Source], tuple[Any, ...]]:
        towards: Mapping[str, Any] = {} if self.sentinels is None else self.sentinels.options
        if _SECRETS.intersection(self.options) or _SECRETS.intersection(towards):
            keep("the password of Redis")
        return Source, (self.kind, self.options, self.shown, self.start, self.sentinels)

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it, by what it is called: names are not looked up."""
        if self.sentinels is not None:
            return all(_is_local(host) for host, _ in self.sentinels.hosts)
        if self.start is not None or self.kind == "UnixDomainSocketConnection":
            return True
        return _is_local(str(self.options.get("host", "localhost")))

    @property
    def user(self) -> str:
        """The name of the user, as far as it is known here."""
        unnamed = "USER" if self.options.get("credential_provider") else "default"
        return str(self.options.get("username") or unnamed)

    def at(self, address: Address) -> Source:
        """The server at this address, as its master."""
        host, port = address
        return replace(self, options={**self.options, "host": host, "port": port}, sentinels=None)

    def sentinel(self, sentinels: Sentinels, address: Address) -> Source:
        """One of its sentinels."""
        host, port = address
        options = {**sentinels.options, "host": host, "port": port}
        return Source(sentinels.kind, options, show_hosts([address]))

    def async_connection(self, path: str | None = None) -> async_connections.AbstractConnection:
        """A connection for the running loop, not yet connected; `path` is what `start` gave."""
        make = getattr(async_connections, self.kind)
        return _careful(make(**self._settings(path), socket_timeout=None))  # type: ignore[no-any-return]

    def sync_connection(
        self, path: str | None = None, *, timeout: float
    ) -> sync_connections.AbstractConnection:
        """A blocking connection, not yet connected, whose reads and writes end after `timeout` seconds."""
        make = getattr(sync_connections, self.kind)
        settings = self._settings(path) | {"socket_timeout": timeout, "socket_connect_timeout": timeout}
        return _careful(make(**settings))  # type: ignore[no-any-return]

    def _settings(self, path: str | None) -> dict[str, Any]:
        settings: dict[str, Any] = {"socket_connect_timeout": CONNECT_TIMEOUT, **self.options}
        if self.kind == "SSLConnection":
            settings.setdefault("ssl_min_version", ssl.TLSVersion.TLSv1_2)
        if path is not None:
            settings["path"] = path
        for name in _FILES:
            if settings.get(name) and not os.path.exists(settings[name]):
                raise OSError(f"{name}={settings[name]}: there is no such file")  # and may be later
        return settings | {"protocol": 2, "decode_responses": False, "health_check_interval": 0}


def _careful(connection: Any) -> Any:
    """The connection; an error that redis-py cannot take apart is one, too, such as MOVED without a node."""
    parse = connection._parser.parse_error

    def parse_error(text: str) -> Exception:
        try:
            return parse(text)  # type: ignore[no-any-return]
        except ValueError:
            return ResponseError(text)

    connection._parser.parse_error = parse_error
    return connection


def _is_local(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    if scheme not in (*_SCHEMES, *_SENTINEL_SCHEMES):
        shown = mask(url) if scheme else "(no scheme)"
        raise SettingsError(
            f"cannot use the URL {shown}: it must begin with redis://, rediss://, unix://, sentinel://, "
            "sentinels:// or embedded://"
        )
    try:
        source = _parsed_sentinels(url) if scheme in _SENTINEL_SCHEMES else _parsed(url)
    except ValueError as error:
        shown = mask(url)
        reason = _ESCAPE if shown.endswith("://***") else error  # which may quote a part of the password
        raise SettingsError(f"cannot use the URL {shown}: {reason}") from None
    return _checked(source)


def _parsed(url: str) -> Source:
    options: dict[str, Any] = _options(url)
    kind = options.pop("connection_class", async_connections.Connection)
    return Source(_class_name(kind), _kept(options), mask(url))


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(async_connections.parse_url(url))
    if objects := sorted(_OBJECTS & options.keys()):
        raise ValueError(f"{objects[0]}= is no text: hand over a client of redis-py's that has it")
    return options


def _parsed_sentinels(url: str) -> Source:
    """`sentinel://user:password@host:port,host:port/service/db?query`, with TLS everywhere: `sentinels://`."""
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("#")[0].partition("?")
    authority, _, path = rest.partition("/")
    secret, at, hosts = authority.rpartition("@")
    service, _, db = path.partition("/")
    if not service:
        raise ValueError(f"it names no master: {_SENTINEL_FORM}")
    if db and not db.isdecimal():
        raise ValueError(f"the database {db!r} is no number: {_SENTINEL_FORM}")
    for name in parse_qs(query, keep_blank_values=True):
        if not (name in _KEPT or name.startswith(("ssl_", "sentinel_"))):
            raise ValueError(f"there is no parameter {name!r}; with TLS it is sentinels://")
    tls = scheme.removeprefix("sentinel")
    options = _options(f"redis{tls}://{secret}{at}master/{db}?{query}")
    del options["host"]
    kind = _class_name(options.pop("connection_class", async_connections.Connection))
    given = {name: options.pop(name) for name in list(options) if name.startswith("sentinel_")}
    unknown = sorted(given.keys() - {"sentinel_username", "sentinel_password"})
    if unknown:
        raise ValueError(f"there is no parameter {unknown[0]!r}: the sentinels have sentinel_username= and "
                         "sentinel_password=")  # fmt: skip
    towards = {name.removeprefix("sentinel_"): value for name, value in given.items()}
    towards |= {name: value for name, value in options.items() if name.startswith("ssl_")}
    sentinels = Sentinels(read_hosts(hosts), unquote(service), kind, towards)
    return Source(kind, _kept(options), mask(url), sentinels=sentinels)


def from_client(client: object) -> Source:
    """The source of a redis-py client, asynchronous or not, decoding or not.

    Raises:
        SettingsError: Not a client of a single Redis server, or of a master behind sentinels.
    """
    if isinstance(client, SyncCluster | AsyncCluster):
        raise SettingsError(
            "connection= is a client of a cluster, which is not supported: "
            "give the URL of the node that has the namespace's slot"
        )
    if not isinstance(client, SyncRedis | AsyncRedis):
        raise SettingsError(f"connection={type(client).__name__} object: give a redis.asyncio.Redis or a URL")
    pool: Any = client.connection_pool
    options: dict[str, Any] = pool.connection_kwargs
    kind = _class_name(pool.connection_class)
    if hasattr(pool, "sentinel_manager"):
        return _checked(_of_sentinel_pool(pool, kind, options))
    return _checked(Source(kind, _kept(options), _shown(options)))


def _of_sentinel_pool(pool: Any, kind: str, options: Mapping[str, Any]) -> Source:
    """The source of a client that `Sentinel.master_for` made."""
    if not pool.is_master:
        raise SettingsError(
            "connection= is a client of replicas, which take no jobs: give one of Sentinel.master_for()"
        )
    manager: Any = pool.sentinel_manager
    pools = [sentinel.connection_pool for sentinel in manager.sentinels]
    hosts = [
        (str(each.connection_kwargs.get("host", "localhost")), int(each.connection_kwargs.get("port", 26379)))
        for each in pools
    ]
    towards = {
        name: value
        for name, value in _kept(pools[0].connection_kwargs).items()
        if name not in ("host", "port", "db")
    }
    forced = getattr(manager, "_force_master_ip", None)
    sentinels = Sentinels(hosts, pool.service_name, _class_name(pools[0].connection_class), towards, forced)
    secret, tls = "***@" if options.get("password") else "", "s" if kind == "SSLConnection" else ""
    shown = f"sentinel{tls}://{secret}{show_hosts(hosts)}/{pool.service_name}/{options.get('db') or 0}"
    return Source(kind, _kept(options), shown, sentinels=sentinels)


def _checked(source: Source) -> Source:
    """The source, which can be connected to; a word of warning where nobody checks who answers.

    Raises:
        SettingsError: redis-py does not know an option, or a value of one.
    """
    try:
        for server in _servers(source):
            server.async_connection()
            server.sync_connection(timeout=1)
    except OSError:
        pass  # a file that is not there yet
    except (TypeError, ValueError, RedisError) as error:
        raise SettingsError(f"cannot connect to {source.shown}: {error}") from None
    if source.kind == "SSLConnection" and source.options.get("ssl_cert_reqs") in ("none", ssl.CERT_NONE):
        logger.warning(
            "ssl_cert_reqs=none: whoever answers at %s is believed to be Redis and gets the password; give "
            "ssl_ca_certs= instead",
            source.shown,
        )
    return source


def _servers(source: Source) -> Iterator[Source]:
    """Any server of each kind that is to be connected to."""
    if source.sentinels is not None:
        yield source.sentinel(source.sentinels, source.sentinels.hosts[0])
        source = source.at(source.sentinels.hosts[0])
    yield source


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
    for name in [name for name in kept if "ocsp" in name]:  # redis-py's asynchronous connections have none
        if kept.pop(name):
            raise SettingsError(f"{name}= is not possible here: leave it out, and check revocation elsewhere")
    if "ssl_cert_reqs" in kept:
        kept["ssl_cert_reqs"] = kept["ssl_cert_reqs"] or "none"  # None is redis-py's other word for it
    return {name: value for name, value in kept.items() if value is not None}


def _shown(options: Mapping[str, Any]) -> str:
    database = options.get("db") or 0
    secret = "***@" if options.get("password") else ""
    if options.get("path"):
        return f"unix://{secret}{options['path']}?db={database}"
    return f"redis://{secret}{options.get('host', 'localhost')}:{options.get('port', 6379)}/{database}"
