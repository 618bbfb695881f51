"""`BlockingClient`: lets the coroutines that run on an event loop run in a thread without one.

Its own coroutines never suspend: they block. So whatever awaits nothing else runs from its first line to
its last in `run_blocking`, and `aqueue.sync` has no logic of its own.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from aqueue._core.status import ENDED
from aqueue._redis.coalescer import Answer, own_error
from aqueue._redis.faults import CAUGHT, PATIENCE
from aqueue._redis.keys import Keys
from aqueue._redis.lookups import Snapshot, snapshots, statuses
from aqueue._redis.operations import Lookup, NewJob, Operation, enqueue
from aqueue._redis.sync_client import SyncClient
from aqueue._redis.waiters import REREAD
from aqueue.errors import QueueUnavailable

T = TypeVar("T")

#: Set while `run_blocking` runs a call in this context.
is_blocking: ContextVar[bool] = ContextVar("aqueue_blocking", default=False)


def run_blocking(call: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine here and now, its calls to Redis on the process's `SyncClient`.

    Raises:
        RuntimeError: It waits for something else than Redis.
    """
    token = is_blocking.set(True)
    try:
        call.send(None)
        call.close()
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        is_blocking.reset(token)
    raise RuntimeError(
        f"{getattr(call, '__qualname__', call)} waits for an event loop, which aqueue.sync has none of: "
        "does middleware of this queue await something of its own?"
    )


class BlockingClient:
    """`AsyncClient` as far as queues and jobs use it, on blocking connections."""

    def __init__(self, client: SyncClient) -> None:
        self._client = client

    @property
    def is_down(self) -> bool:
        """Whether Redis did not answer the last try."""
        return self._client.is_down

    def begin(self, operation: Operation[Any]) -> None:
        """See `AsyncClient.begin`; a thread waits for each answer."""

    async def run(
        self, operation: Operation[T], *, patience: float | None = PATIENCE, begun: object = None
    ) -> T:
        """See `AsyncClient.run`."""
        return self._client.run(operation, patience=patience)

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """See `AsyncClient.read`."""
        return self._client.read(lookup, patience=patience)

    async def enqueue(self, keys: Keys, queue: str, job: NewJob) -> Answer:
        """See `AsyncClient.enqueue`; in a call of its own."""
        try:
            stored = self._client.run(enqueue(keys, queue, [job]))
        except Exception as error:
            raise own_error(error, job.id) from error
        return stored.at_ms, stored.words[0]

    async def ended(self, keys: Keys, job_id: str, seconds: float | None) -> Snapshot | None:
        """See `AsyncClient.ended`; on a subscribing connection of its own."""
        bell = _Bell(self._client, keys.done_channel(job_id))
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            while True:
                bell.listen()  # before the read: what is told after it is heard
                left = REREAD if deadline is None else deadline - time.monotonic()
                try:
                    if self._has_ended(keys, job_id, patience=max(0.0, min(left, PATIENCE))):
                        [snapshot] = self._client.read(snapshots(keys, [job_id]))
                        return snapshot
                except QueueUnavailable:
                    pass  # waiting outlasts an outage
                left = REREAD if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                bell.wait(min(REREAD, left))
        finally:
            bell.close()

    def _has_ended(self, keys: Keys, job_id: str, *, patience: float) -> bool:
        [(status, gone)] = self._client.read(statuses(keys, [job_id]), patience=patience)
        return status is None or bool(gone) or status.decode("utf-8", "replace") in ENDED


class _Bell:
    """Rings when a channel is told something, or may have been; where subscribing fails, after the time."""

    def __init__(self, client: SyncClient, channel: str) -> None:
        self._client = client
        self._channel = channel
        self._connection: Any = None

    def listen(self) -> None:
        """Subscribe, unless the subscription stands."""
        if self._connection is not None:
            return
        try:
            self._connection = self._client.connect()
            self._connection.send_command("SUBSCRIBE", self._channel, check_health=False)
            self._connection.read_response(disable_decoding=True)
        except CAUGHT:
            self.close()

    def wait(self, seconds: float) -> None:
        """Wait until it rings, at most so long."""
        if self._connection is None:
            time.sleep(seconds)
            return
        try:
            if self._connection.can_read(timeout=seconds):
                self._connection.read_response(disable_decoding=True)
        except CAUGHT:
            self.close()

    def close(self) -> None:
        """End the subscription."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
