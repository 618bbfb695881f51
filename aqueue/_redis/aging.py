"""Make data older, for tests of programs: when things are due or removed, and what brings that nearer.

Absolute times are written, and only where the job still is: a call that is repeated ages nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup
from aqueue._redis.scripts import Argument

#: Registries whose scores are times that pass. Not `started`: live workers keep their leases.
AGED = ("scheduled", "expiring", "finished", "failed", "canceled", "expired")

#: (key, id, when), unix ms.
Due = tuple[str, bytes, float]
#: (key, when its own TTL ends), unix ms.
End = tuple[str, int]


def dues(keys: Keys, queues: Sequence[str]) -> Lookup[list[Due]]:
    """When the jobs of these queues are due, expire, or are removed."""
    names = [keys.registry(registry, queue) for queue in queues for registry in AGED]

    def decode(replies: list[Any]) -> list[Due]:
        return [
            (name, flat[at], float(flat[at + 1]))
            for name, flat in zip(names, replies, strict=True)
            for at in range(0, len(flat), 2)
        ]

    return Lookup([("ZRANGE", name, 0, -1, "WITHSCORES") for name in names], decode)


def ends(keys: Keys, ids: Sequence[bytes]) -> Lookup[list[End]]:
    """When the records, results and histories of these jobs go by themselves, where they do."""
    names = [
        name(job_id.decode("utf-8", "replace"))
        for job_id in ids
        for name in (keys.job, keys.result, keys.history)
    ]

    def decode(replies: list[Any]) -> list[End]:
        return [(name, end) for name, end in zip(names, replies, strict=True) if end >= 0]

    return Lookup([("PEXPIRETIME", name) for name in names], decode)


def age(dues: Sequence[Due], ends: Sequence[End], by_ms: int) -> Lookup[None]:
    """Let all this be so much nearer, in one step."""
    commands: list[tuple[Argument, ...]] = [
        ("ZADD", key, "XX", f"{when - by_ms:.0f}", job_id) for key, job_id, when in dues
    ]
    commands += [("PEXPIREAT", key, max(1, when - by_ms)) for key, when in ends]
    return Lookup([("MULTI",), *commands, ("EXEC",)], lambda replies: None)
