"""What tests share: waiting for conditions and making data old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aqueue._core.names import new_nonce
from aqueue._redis import operations
from aqueue._redis.operations import Claimed
from aqueue._redis.scripts import Argument, Script
from aqueue.connection import Namespace

#: In one step, and with nothing that the smallest user may not do.
_AGE = Script(
    "age",
    """#!lua flags=allow-oom
for _, key in ipairs(KEYS) do
  local members = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
  for i = 1, #members, 2 do
    if members[i + 1] ~= "inf" then
      redis.call("ZADD", key, string.format("%.0f", members[i + 1] - ARGV[1]), members[i])
    end
  end
end
""",
    [],
)


async def wait_until(
    predicate: Callable[[], Any], *, timeout: float = 10.0, description: str = "", every: float = 0.01
) -> Any:
    """Wait until the predicate, which may be a coroutine function, is true; return what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if isinstance(value, Awaitable):
            value = await value  # pyright: ignore[reportUnknownVariableType]
        if value:
            return value  # pyright: ignore[reportUnknownVariableType]
        assert time.monotonic() < deadline, f"not within {timeout} s: {description or predicate}"
        await asyncio.sleep(every)


async def age(space: Namespace, *, seconds: float, queues: tuple[str, ...] = ("default",)) -> None:
    """Let so much time pass for the leases, due times, ttls and removal times of these queues."""
    registries = ("started", "scheduled", "expiring", "finished", "failed", "canceled", "expired")
    names = [space.keys.registry(registry, queue) for queue in queues for registry in registries]
    call: tuple[Argument, ...] = ("EVALSHA", _AGE.sha, len(names), *names, int(seconds * 1000))
    await space.client.read(operations.Lookup([("SCRIPT", "LOAD", _AGE.text), call], lambda replies: None))


async def claim(
    space: Namespace,
    *queues: str,
    limit: int = 10,
    worker_id: str = "worker1",
    name: str | None = None,
    nonce: str | None = None,
    lease_ms: int = 30_000,
    alive_ms: int = 0,
) -> Claimed:
    """Claim as a worker does."""
    return await space.client.run(
        operations.claim(
            space.keys,
            queues or ("default",),
            worker_id=worker_id,
            name=name or worker_id,
            nonce=nonce or new_nonce(),
            limit=limit,
            lease_ms=lease_ms,
            alive_ms=alive_ms,
        )
    )


async def beat(space: Namespace, worker_id: str = "other", lease_ms: int = 30_000) -> None:
    """Somebody is alive, so recovery is not held back by silence."""
    await space.client.run(
        operations.extend(space.keys, [], worker_id=worker_id, lease_ms=lease_ms, facts={})
    )
