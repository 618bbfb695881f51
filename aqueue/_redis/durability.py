"""How a server is asked whether replicas or its disk have what a connection wrote: WAIT and WAITAOF.

They wait for what their own connection wrote last, and answer at once where it wrote nothing, as a repeated
enqueue does. So something that changes nothing is written before them: all that the server wrote until
then is confirmed with it.
"""

from __future__ import annotations

from typing import Any

from aqueue._core.durability import FSYNC
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.scripts import Argument
from aqueue.errors import AqueueError, SettingsError

#: How long replicas or the disk have; `appendfsync everysec` takes up to two seconds.
PATIENCE_MS = 3_000
#: For asking whether one may ask.
_TRIAL_MS = 1
#: Ten years, should nothing follow.
_FAR_MS = 315_360_000_000

#: Which server it is.
SERVER: Lookup[str] = Lookup([("INFO", "server")], lambda replies: _version(replies[0]))


class Unconfirmed(AqueueError):
    """The server has it, but not in as many places as was asked for."""

    def __init__(self, durability: str, confirmed: int) -> None:
        super().__init__(durability)
        self.durability = durability
        self.confirmed = confirmed


def questions(operation: Operation[Any]) -> list[tuple[Argument, ...]]:
    """What is sent right after an enqueue; the last reply says who has it.

    The queue's counters get a time to live and lose it again: writes that are not refused out of memory.
    """
    counters = operation.keys[operation.script.keys.index("meta_key")]
    return [
        ("PEXPIRE", counters, _FAR_MS),
        ("PERSIST", counters),
        _wait(operation.durability, PATIENCE_MS),
    ]


def trial(operation: Operation[Any]) -> list[tuple[Argument, ...]]:
    """The command, when there is nothing to wait for: whether the server and the user's rights allow it.

    A read comes first, which the wrong node of a cluster refuses: a replica would tell of something else.
    """
    return [("EXISTS", operation.keys[0]), _wait(operation.durability, _TRIAL_MS)]


def _wait(durability: str, patience_ms: int) -> tuple[Argument, ...]:
    if durability == FSYNC:
        return ("WAITAOF", 1, 0, patience_ms)
    return ("WAIT", _wanted(durability), patience_ms)


def check(durability: str, reply: Any) -> None:
    """Raise Unconfirmed unless the reply is that of enough."""
    confirmed = int(reply[0] if durability == FSYNC else reply)
    if confirmed < _wanted(durability):
        raise Unconfirmed(durability, confirmed)


def explain(durability: str, error: Exception, server: str) -> None:
    """Raise SettingsError for an error reply that says that the server has no such command, or no AOF."""
    text = str(error).lower()
    if "unknown command" in text:
        raise SettingsError(
            f"durability={durability!r} needs Redis 7.2 or Valkey 7.2 at least, and this is {server}: "
            'use "replicated:1", or "local"'
        ) from error
    if "waitaof" in text:
        raise SettingsError(
            f"durability={durability!r} needs `appendonly yes` in the server's settings, which is off: "
            'set it, or use "replicated:1" or "local"'
        ) from error


def _wanted(durability: str) -> int:
    return 1 if durability == FSYNC else int(durability.partition(":")[2])


def _version(reply: bytes) -> str:
    lines = reply.decode("utf-8", "replace").splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    for name in ("Valkey", "Redis"):
        version = facts.get(f"{name.lower()}_version")
        if version:
            return f"{name} {version}"
    return "another version"
