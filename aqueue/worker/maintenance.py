"""The chores that any worker may do at any time, without a lock: promote, recover, prune."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aqueue._core.logs import get_logger
from aqueue._redis import lookups, operations
from aqueue._redis.operations import BATCH, Operation
from aqueue.connection import Namespace
from aqueue.errors import AqueueError, QueueUnavailable

T = TypeVar("T")

logger: logging.Logger = get_logger("aqueue.worker")

#: Seconds between two rounds, varied by a fifth so that workers do not act in step.
INTERVAL = 1.0
#: Seconds after which credentials that Redis refuses count as wrong, and not as being changed right now; and
#: after which a slot that the cluster has moved elsewhere is not coming back.
REFUSED_PATIENCE = 300.0


class Maintenance:
    """The chores for all queues of the namespace, served by this worker or not."""

    def __init__(
        self, space: Namespace, lease_ms: int, *, refused: Callable[[QueueUnavailable], None]
    ) -> None:
        """Make it.

        Args:
            refused: Called when Redis has refused the worker's calls for five minutes.
        """
        self._space = space
        self._lease_ms = lease_ms
        self._refused = refused
        self._refused_since: float | None = None

    async def run(self) -> None:
        """Do the chores until cancelled."""
        await self._try(self.compare_leases)
        while True:
            await asyncio.sleep(INTERVAL * random.uniform(0.8, 1.2))
            await self._try(self.round)

    async def _try(self, chore: Callable[[], Awaitable[None]]) -> None:
        try:
            await chore()
            self._refused_since = None
        except AqueueError as error:  # Redis is away, and the client has said so
            self._note(error)
        except Exception:  # what others wrote into Redis must not end the worker
            logger.exception("maintenance failed, trying again")

    def _note(self, error: AqueueError) -> None:
        """Credentials are changed on the server and here at slightly different times, and a node of a cluster
        may be the master again soon: that is waited out.
        """
        if not (isinstance(error, QueueUnavailable) and error.refused):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = time.monotonic()
            logger.error("%s; giving up unless that changes within %g s", error, REFUSED_PATIENCE)
        elif time.monotonic() - self._refused_since > REFUSED_PATIENCE:
            self._refused(error)

    async def compare_leases(self) -> None:
        """Warn of workers with another lease: what one takes for a stall of Redis is death to the other."""
        keys = self._space.keys
        ids = await self._space.client.read(lookups.worker_ids(keys))
        records = await self._space.client.read(lookups.workers(keys, ids))
        leases = {record["lease"] for record in records if _is_length(record.get("lease", ""))}
        leases.discard(str(self._lease_ms))
        if leases:
            others = ", ".join(f"{int(lease) / 1000:g}" for lease in sorted(leases))
            logger.warning(
                "this worker's lease is %g s, others here have %s s: give all the same, "
                "or a stall of Redis may start jobs twice",
                self._lease_ms / 1000,
                others,
            )

    async def round(self) -> None:
        """Do each chore once, for all queues, until nothing is left."""
        keys = self._space.keys
        names = await self._space.client.read(lookups.queue_names(keys))
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            await self._repeat(operations.promote(keys, batch), lambda full: full)
            await self._recover(batch)
            await self._repeat(operations.prune(keys, batch), lambda full: full)

    async def _repeat(self, operation: Operation[T], is_full: Callable[[T], bool]) -> None:
        while is_full(await self._space.client.run(operation)):
            pass

    async def _recover(self, names: list[str]) -> None:
        operation = operations.recover(self._space.keys, names, lease_ms=self._lease_ms)

        def is_full(recovered: operations.Recovered) -> bool:
            for job_id, status in recovered.jobs.items():
                logger.warning("job %s lost its worker and is now %s", job_id, status)
            return recovered.full

        await self._repeat(operation, is_full)


def _is_length(text: str) -> bool:
    """Whether it can be a lease: what Redis holds may have been written by others."""
    return text.isascii() and text.isdecimal() and len(text) < 16
