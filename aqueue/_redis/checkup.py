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
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.scripts import Argument, Script
from aqueue.errors import QueueUnavailable

T = TypeVar("T")

_PINGS = 10
#: Settings that INFO does not tell.
_SETTINGS = ("appendfsync", "save", "min-replicas-to-write")

#: Which of some calls this user may not make. They are compared with its rules, and none is made.
_DENIED = """#!lua flags=no-writes,allow-oom
local denied, at = {}, 1
while at < #ARGV do
  local call = {}
  for part = 1, tonumber(ARGV[at]) do
    call[part] = ARGV[at + part]
  end
  if not redis.acl_check_cmd(unpack(call)) then
    denied[#denied + 1] = call[1]
  end
  at = at + #call + 1
end
return denied
"""


#: Commands on a key, by what they take after it.
_FORMS: dict[tuple[str, ...], str] = {
    (): "DEL UNLINK PERSIST GET MGET HGETALL HLEN LLEN SCARD SMEMBERS ZCARD",
    ("1",): "SET PEXPIRE BLPOP HGET HMGET HDEL LPUSH SADD SREM SISMEMBER ZREM ZRANK ZSCORE",
    ("1", "2"): "HSET HINCRBY ZADD LTRIM LRANGE ZRANGE ZREVRANGE ZCOUNT ZRANGEBYSCORE ZREVRANGEBYSCORE"
    " ZREMRANGEBYSCORE",
}


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
    #: Commands of ours that this user may not call.
    denied: Sequence[str] | Unknown
    #: The user's name.
    user: str | Unknown
    #: Seconds of a round trip, the median of some.
    latency: float
    #: Seconds by which its clock is ahead of ours.
    ahead: float


async def server_facts(client: Client, keys: Keys) -> ServerFacts:
    """Find out all of it. About 15 round trips, and no writes.

    Raises:
        QueueUnavailable: The server does not answer.
    """
    latency, ahead = await _time(client)
    return ServerFacts(
        info=await _ask(client, Lookup([("INFO",)], lambda replies: _info(replies[0]))),
        settings=await _ask(
            client, Lookup([("CONFIG", "GET", *_SETTINGS)], lambda replies: _pairs(replies[0]))
        ),
        denied=await _denied(client, keys),
        user=await _ask(client, Lookup([("ACL", "WHOAMI")], lambda replies: _text(replies[0]))),
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


async def _denied(client: Client, keys: Keys) -> list[str] | Unknown:
    args: list[Argument] = [part for call in calls(keys) for part in (len(call), *call)]
    script = Script("denied", _DENIED, [])
    operation = Operation(script, [], args, lambda reply: [_text(word) for word in reply])
    try:
        return await client.run(operation)
    except ServerError as error:
        return Unknown(describe(error))
    except QueueUnavailable as error:
        if not error.refused:
            raise
        return ["EVALSHA", "SCRIPT LOAD"]


def calls(keys: Keys) -> list[tuple[Argument, ...]]:
    """A call of each command that programs, workers and scripts of ours use, on a key of the namespace."""
    key, channel = keys.registry("queue", "default"), keys.done_channel("id")
    named: list[tuple[Argument, ...]] = [
        ("PING",),
        ("TIME",),
        ("SUBSCRIBE", channel),
        ("PUBLISH", channel, "m"),
    ]
    return named + [
        (command, key, *rest) for rest, commands in _FORMS.items() for command in commands.split()
    ]


def _info(reply: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in _text(reply).splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


def _pairs(reply: Sequence[bytes]) -> dict[str, str]:
    texts = [_text(part) for part in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
