"""Keep the leases of all running jobs, from a thread with a connection of its own.

A blocked event loop keeps its leases this way. What Redis says back (leases that are lost, jobs to
be canceled or stopped) is handed to the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from aqueue._core.outcome import Lease
from aqueue._redis import operations
from aqueue._redis.operations import BULK, Extended
from aqueue._redis.sync_client import SyncClient
from aqueue.connection import Namespace
from aqueue.errors import AqueueError
from aqueue.worker.settings import WorkerSettings

logger = logging.getLogger("aqueue.worker")

#: Seconds until a beat that failed is tried again.
RETRY_PAUSE = 0.5


class Heartbeat:
    """The thread that beats for a worker."""

    def __init__(
        self,
        space: Namespace,
        settings: WorkerSettings,
        worker_id: str,
        *,
        leases: Callable[[], Sequence[Lease]],
        facts: Callable[[], dict[str, str | int]],
        heard: Callable[[Extended], None],
    ) -> None:
        """Make a heartbeat.

        Args:
            leases: The leases to extend; called from the thread.
            facts: What the worker's record says; called from the thread.
            heard: Called in the loop when Redis has something to say.
        """
        self._space = space
        self._settings = settings
        self._worker_id = worker_id
        self._leases = leases
        self._facts = facts
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._over = threading.Event()
        self._client = SyncClient(space.connector.source, timeout=settings.beat_timeout)
        self._thread = threading.Thread(target=self._beat_on, name="aqueue-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    async def stop(self) -> None:
        """Beat no more, and wait for the thread: one beat at most."""
        self._over.set()
        await asyncio.to_thread(self._thread.join, self._settings.beat_timeout * 4)
        if not self._thread.is_alive():
            self._client.close()

    def _beat_on(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            try:
                self._beat()
                pause = self._settings.beat
            except (AqueueError, RedisError) as error:
                logger.debug("a heartbeat failed, trying again: %s", error)
                pause = RETRY_PAUSE
            except Exception:
                logger.exception("a heartbeat failed for a reason of its own, trying again")
                pause = RETRY_PAUSE

    def _beat(self) -> None:
        """Extend all leases, 500 per call; the first call also carries the worker's record."""
        leases = self._leases()
        for start in range(0, max(1, len(leases)), BULK):
            operation = operations.extend(
                self._space.keys,
                leases[start : start + BULK],
                worker_id=self._worker_id,
                lease_ms=self._settings.lease_ms,
                facts=self._facts(),
            )
            extended = self._client.run(operation, patience=0)
            if extended.lost or extended.asked:
                self._tell(extended)

    def _tell(self, extended: Extended) -> None:
        try:
            self._loop.call_soon_threadsafe(self._heard, extended)
        except RuntimeError:
            self._over.set()  # the loop is closed
