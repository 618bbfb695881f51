"""What a server tells about itself and about this user. Each question is asked alone: one that is forbidden,
renamed or unknown there hides nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aqueue._redis.client import Client
from aqueue._redis.faults import ServerError, describe
from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup
from aqueue._redis.permissions import database_of, missing_rules, remedy
from aqueue._redis.source import Source
from aqueue.errors import QueueUnavailable

T = TypeVar("T")

_PINGS = 10
#: Settings that INFO does not tell.
_SETTINGS = ("appendfsync", "save", "min-replicas-to-write")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that the server does not tell, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What was found out about a server."""

    #: The fields of INFO.
    info: dict[str, str] | Unknown
    #: Some of its settings.
    settings: dict[str, str] | Unknown
    #: What this user lacks, as rules of ACL SETUSER, and what it is to be given.
    missing: Sequence[str] | Unknown
    remedy: Sequence[str]
    #: The user's name.
    user: str
    #: Seconds of a round trip, the median of some.
    latency: float
    #: Seconds by which its clock is ahead of ours.
    ahead: float


async def server_facts(client: Client, source: Source, keys: Keys) -> ServerFacts:
    """Find out all of it. About 15 round trips, and no writes.

    Raises:
        QueueUnavailable: The server does not answer.
    """
    latency, ahead = await _time(client)
    missing = await _missing(client, source, keys)
    user = await _ask(client, Lookup([("ACL", "WHOAMI")], lambda replies: _text(replies[0])))
    return ServerFacts(
        info=await _ask(client, Lookup([("INFO",)], lambda replies: _info(replies[0]))),
        settings=await _ask(
            client, Lookup([("CONFIG", "GET", *_SETTINGS)], lambda replies: _pairs(replies[0]))
        ),
        missing=missing,
        remedy=() if isinstance(missing, Unknown) else remedy(missing, source, keys),
        user=source.user if isinstance(user, Unknown) else user,
        latency=latency,
        ahead=ahead,
    )


async def _ask(client: Client, lookup: Lookup[T]) -> T | Unknown:
    try:
        return await client.read(lookup)
    except ServerError as error:
        return Unknown(describe(error))
    except QueueUnavailable as error:
        if not error.refused:
            raise
        return Unknown(describe(error.__cause__ or error))


async def _time(client: Client) -> tuple[float, float]:
    """Latency, and how far ahead the server's clock is, by the quickest of some round trips."""
    trips: list[tuple[float, float]] = []
    for _ in range(_PINGS):
        started, now = time.perf_counter(), time.time()
        seconds, microseconds = await client.read(Lookup([("TIME",)], lambda replies: replies[0]))
        took = time.perf_counter() - started
        trips.append((took, int(seconds) + int(microseconds) / 1e6 - now - took / 2))
    return statistics.median(took for took, _ in trips), min(trips)[1]


async def _missing(client: Client, source: Source, keys: Keys) -> Sequence[str] | Unknown:
    try:
        return await client.run(missing_rules(keys, database_of(source)))
    except ServerError as error:
        return Unknown(describe(error))
    except QueueUnavailable as error:
        if not error.missing:
            raise
        return error.missing


def _info(reply: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in _text(reply).splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _pairs(reply: Sequence[bytes]) -> dict[str, str]:
    texts = [_text(part) for part in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
