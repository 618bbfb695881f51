"""Which Redis, which namespace, which encoding: what a `Queue`, a `Job` and a `Worker` agree on.

`connection=` takes a redis-py client or a URL. Without it the pushed connection counts, then
`AQUEUE_URL`, then redis://localhost:6379/0.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypedDict, Unpack

from redis import Redis as SyncRedis
from redis.asyncio import Redis as AsyncRedis

from aqueue._core.allowed import Allowed
from aqueue._core.codec import Codec
from aqueue._core.names import check_integer
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES, LARGEST_JOB_BYTES
from aqueue._core.seal import Seal
from aqueue._core.serializers import Serializer, check_serializer, runs_code
from aqueue._core.signing import Keyring, SigningKey, check_keys
from aqueue._core.trust import WAYS_TO_DECODE, check_trust, refusal
from aqueue._redis.blocking import BlockingClient, is_blocking
from aqueue._redis.client import Client
from aqueue._redis.connector import Connector, connector_for
from aqueue._redis.faults import ServerError as ServerError
from aqueue._redis.keys import DEFAULT_NAMESPACE, Keys
from aqueue._redis.source import DEFAULT_URL
from aqueue.errors import SettingsError

#: What `connection=` takes.
Connection: TypeAlias = AsyncRedis | SyncRedis | str

_pushed: ContextVar[tuple[Connection, ...]] = ContextVar("aqueue_connections", default=())


def push_connection(connection: Connection) -> None:
    """Make this the connection of everything that is made without one from here on, in this context."""
    connector_for(connection)
    _pushed.set((*_pushed.get(), connection))


def pop_connection() -> Connection:
    """Take back the last pushed connection and return it.

    Raises:
        SettingsError: None is pushed.
    """
    pushed = _pushed.get()
    if not pushed:
        raise SettingsError("pop_connection() without a push_connection() before it in this context")
    _pushed.set(pushed[:-1])
    return pushed[-1]


@contextmanager
def use_connection(connection: Connection) -> Generator[None]:
    """Use this connection for everything that is made without one inside the `with` block."""
    connector_for(connection)
    token = _pushed.set((*_pushed.get(), connection))
    try:
        yield
    finally:
        _pushed.reset(token)


class SpaceOptions(TypedDict, total=False):
    """What queues, workers, `Job.create`, `Job.fetch` and their like take besides a connection."""

    #: Whose jobs; else AQUEUE_NAMESPACE, else "aqueue".
    namespace: str | None
    #: "pickle", "json", "module:object" or an object with `dumps` and `loads`; else AQUEUE_SERIALIZER.
    serializer: Serializer | str | None
    #: Signs all that is written, and everything is verified before it is decoded; else AQUEUE_SIGNING_KEY.
    signing_key: SigningKey | Keyring | None
    #: Everybody who can write to a Redis that is not local may run code here; else AQUEUE_TRUST_REDIS.
    trust_redis: bool | None


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace on a Redis, and how its data is encoded."""

    connector: Connector
    keys: Keys
    codec: Codec
    #: Whether it was left to the environment where it is, and how it is called.
    default_redis: bool = False
    default_name: bool = False
    #: Whoever can write to this Redis may run code here: it is local, or we were told so.
    is_trusted: bool = False

    @property
    def client(self) -> Client:
        """The running loop's client; inside of a call of `aqueue.sync` one that blocks."""
        if is_blocking.get():
            return BlockingClient(self.connector.sync_client())
        return self.connector.client()

    def here(self) -> Namespace:
        """Itself; inside a `lives_in` block, with what was left to the environment as the block says."""
        if _elsewhere is None:
            return self
        connector, keys = _elsewhere
        space = self
        if self.default_redis:
            codec = replace(self.codec, refusal="")
            space = replace(self, connector=connector, codec=codec, is_trusted=True)
        if self.default_name:
            seal = replace(self.codec.seal, namespace=keys.namespace)
            space = replace(space, keys=keys, codec=replace(space.codec, seal=seal))
        return space


def check_names(options: SpaceOptions) -> None:
    """Refuse what the caller's own `**options` has let through.

    Raises:
        TypeError: An option that there is not.
    """
    unknown = options.keys() - SpaceOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword argument {', '.join(map(repr, sorted(unknown)))}")


def open_namespace(
    connection: Connection | Connector | None = None,
    *,
    max_job_bytes: int = DEFAULT_MAX_JOB_BYTES,
    allow: Iterable[str] | str | None = None,
    **options: Unpack[SpaceOptions],
) -> Namespace:
    """Settle on a Redis and a namespace; no I/O.

    Raises:
        SettingsError: A connection, name, serializer, size or module that cannot be used.
        TypeError: An option that there is not.
    """
    check_names(options)
    chosen: Any = connection
    if chosen is None and _pushed.get():
        chosen = _pushed.get()[-1]
    default_redis = chosen is None
    if default_redis:
        chosen = os.environ.get("AQUEUE_URL") or DEFAULT_URL
    check_integer(max_job_bytes, "max_job_bytes", 1, LARGEST_JOB_BYTES)
    namespace = options.get("namespace")
    default_name = namespace is None
    if namespace is None:
        namespace = os.environ.get("AQUEUE_NAMESPACE") or DEFAULT_NAMESPACE
    allowed = None if allow is None else Allowed(allow)
    serializer, signing_key = options.get("serializer"), options.get("signing_key")
    if serializer is None:
        serializer = os.environ.get("AQUEUE_SERIALIZER") or None
    if signing_key is None:
        signing_key = os.environ.get("AQUEUE_SIGNING_KEY") or None
    connector, seal = connector_for(chosen), Seal(namespace, check_keys(signing_key))
    codec = Codec(check_serializer(serializer), max_job_bytes, seal, allowed)
    is_trusted = check_trust(options.get("trust_redis")) or connector.source.is_local
    if not is_trusted and seal.keys is None and runs_code(codec.serializer):
        codec = replace(codec, refusal=refusal(connector.source.shown, WAYS_TO_DECODE))
    space = Namespace(connector, Keys(namespace), codec, default_redis, default_name, is_trusted)
    return space.here()


#: What a `lives_in` block says.
_elsewhere: tuple[Connector, Keys] | None = None


@contextmanager
def lives_in(connection: Connection, namespace: str) -> Generator[None]:
    """Let all live there that was left to the environment, in all threads, whenever it was made: for tests.

    A `Queue` that a module makes while it is imported is older than any test.
    """
    global _elsewhere
    before, _elsewhere = _elsewhere, (connector_for(connection), Keys(namespace))
    try:
        yield
    finally:
        _elsewhere = before
