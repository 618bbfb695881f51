"""Find the master: ask the sentinels, and believe what they name when it says so itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import redis.exceptions as redis_errors

from aqueue._redis.faults import CAUGHT, Verdict, describe, is_distrust, judge
from aqueue._redis.sentinels import PATIENCE, Address, Sentinels, show_hosts
from aqueue._redis.source import Source

#: What a server answers; an error that it answers with is a value here.
Reply: TypeAlias = Any


class Dialer(Protocol):
    """How connections are made: for a loop, or for a thread, where nothing of this suspends."""

    async def call(self, source: Source, *command: str, seconds: float | None = None) -> tuple[Any, Reply]:
        """Connect, and ask a first thing."""
        ...

    def hang_up(self, connection: Any) -> None:
        """Close it."""
        ...

    def cut(self, connection: Any) -> None:
        """End it from whichever thread."""
        ...


async def reach_master(source: Source, sentinels: Sentinels, dialer: Dialer) -> Any:
    """A connection to the present master.

    Where no sentinel answers, the last known master will do, as long as it says that it is one: jobs do not
    depend on the sentinels being up.

    Raises:
        redis.exceptions.ConnectionError: No sentinel knows it, or it is not the master by now.
        OSError: It cannot be reached.
    """
    host, address = await find_master(source, sentinels, dialer)
    try:
        connection = await _call_master(source, address, dialer)
    except CAUGHT:
        if host is not None:
            sentinels.misled(host)
        raise
    sentinels.reached(connection, address, dialer.cut)
    return connection


async def find_master(source: Source, sentinels: Sentinels, dialer: Dialer) -> tuple[Address | None, Address]:
    """The master, and the sentinel that named it; None: nobody answered, and it was last found there."""
    said: list[str] = []
    is_unknown, refusal = False, None
    for host in sentinels.hosts:
        try:
            reply = await _ask(source.sentinel(sentinels, host), sentinels.service, dialer)
            if reply is not None:
                address = sentinels.named(reply)
                sentinels.led(host)
                return host, address
        except CAUGHT as error:
            said.append(f"{show_hosts([host])}: {describe(error)}")
            refusal = error if judge(error) is Verdict.REFUSED else refusal
            continue
        said.append(f"{show_hosts([host])} knows none of that name")
        is_unknown = True
    if sentinels.master is not None and not is_unknown:
        return None, sentinels.master
    text = f"no sentinel tells where the master {sentinels.service!r} is ({'; '.join(said)})"
    if refusal is not None and is_distrust(refusal):
        raise refusal
    if refusal is not None:
        raise redis_errors.AuthenticationError(f"{text}: give sentinel_username= and sentinel_password=")
    raise redis_errors.ConnectionError(text)


async def _ask(sentinel: Source, service: str, dialer: Dialer) -> Sequence[bytes] | None:
    connection, reply = await dialer.call(
        sentinel, "SENTINEL", "get-master-addr-by-name", service, seconds=PATIENCE
    )
    dialer.hang_up(connection)
    if isinstance(reply, Exception):
        raise reply
    return reply  # type: ignore[no-any-return]


async def _call_master(source: Source, address: Address, dialer: Dialer) -> Any:
    """A connection; a server that may not be asked for its role is believed, READONLY would tell."""
    connection, reply = await dialer.call(source.at(address), "ROLE")
    if isinstance(reply, redis_errors.NoPermissionError):
        return connection
    if isinstance(reply, Exception):
        dialer.hang_up(connection)
        raise reply
    if reply[0] == b"master":
        return connection
    dialer.hang_up(connection)
    raise redis_errors.ConnectionError(f"{show_hosts([address])} is not the master, by its own word")
