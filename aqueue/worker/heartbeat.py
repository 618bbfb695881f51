"""Keep the leases of all running jobs, from a thread with a connection of its own.

A blocked event loop keeps its leases this way. What Redis says back (leases that are lost, jobs to
be canceled or stopped) is handed to the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence

from aqueue._core.logs import get_logger
from aqueue._core.outcome import Lease
from aqueue._redis import operations
from aqueue._redis.faults import ServerError
from aqueue._redis.operations import BULK
from aqueue._redis.sync_client import SyncClient
from aqueue.connection import Namespace
from aqueue.errors import AqueueError
from aqueue.worker.running import Running
from aqueue.worker.settings import WorkerSettings

logger: logging.Logger = get_logger("aqueue.worker")

#: Leases and Redis' word for each: "lost", or "cancel" or "stop" when that was asked of the running job.
News = Sequence[tuple[Lease, str]]

#: Seconds between two looks at the worker's state.
LOOK = 1.0
#: Seconds until a beat that failed is tried again.
RETRY_PAUSE = 0.5


class Heartbeat:
    """The thread that beats for a worker."""

    def __init__(
        self,
        space: Namespace,
        settings: WorkerSettings,
        worker_id: str,
        running: Running,
        facts: Callable[[], dict[str, str | int]],
        heard: Callable[[News], None],
    ) -> None:
        """Make a heartbeat.

        Args:
            facts: What the worker's record says; called from the thread.
            heard: Called in the loop when Redis has something to say.
        """
        self._space = space
        self._settings = settings
        self._worker_id = worker_id
        self._running = running
        self._facts = facts
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._shown_state: str | int = ""
        self._over = threading.Event()
        self._ended = asyncio.Event()
        self._client = SyncClient(
            space.connector.source, space.connector.permitted, timeout=settings.beat_timeout
        )
        self._thread = threading.Thread(target=self._live, name="aqueue-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    async def stop(self) -> None:
        """Beat no more, and wait for the thread: one beat at most."""
        self._over.set()
        try:
            async with asyncio.timeout(self._settings.beat_timeout * 4):
                await self._ended.wait()
        except TimeoutError:
            return
        self._thread.join()
        self._client.close()

    def beat_now(self) -> None:
        """Beat out of turn; called from any thread."""
        self._try_to_beat()

    def _live(self) -> None:
        try:
            self._beat_on()
        finally:
            try:
                self._loop.call_soon_threadsafe(self._ended.set)
            except RuntimeError:
                pass  # the loop is closed

    def _beat_on(self) -> None:
        """Beat in time; soon also after the worker's state has changed, which its record shows to others."""
        due = time.monotonic()
        while not self._over.wait(min(max(due - time.monotonic(), 0), LOOK)):
            if time.monotonic() >= due or self._has_changed():
                pause = self._settings.beat if self._try_to_beat() else RETRY_PAUSE
                due = time.monotonic() + pause

    def _has_changed(self) -> bool:
        try:
            return self._facts()["state"] != self._shown_state
        except Exception:
            return True  # the beat will say what is wrong

    def _try_to_beat(self) -> bool:
        try:
            self._beat()
        except (AqueueError, ServerError) as error:
            logger.debug("a heartbeat failed, trying again: %s", error)
            return False
        except Exception:
            logger.exception("a heartbeat failed for a reason of its own, trying again")
            return False
        return True

    def _beat(self) -> None:
        """Extend all leases, 500 per call; each call also carries the worker's record.

        Who holds two leases of one job has lost the earlier one, or it could not have claimed it again.
        """
        held = self._running.leases()
        newest = {lease.job_id: lease for lease in held}
        if len(newest) < len(held):
            self._tell([(lease, "lost") for lease in held if lease is not newest[lease.job_id]])
        leases = list(newest.values())
        facts = self._facts()
        for start in range(0, max(1, len(leases)), BULK):
            batch = leases[start : start + BULK]
            operation = operations.extend(
                self._space.keys,
                batch,
                worker_id=self._worker_id,
                lease_ms=self._settings.lease_ms,
                facts=facts,
            )
            sent = time.monotonic()
            extended = self._client.run(operation, patience=0)
            self._running.renewed((lease for lease in batch if lease.job_id not in extended.lost), sent)
            words = dict.fromkeys(extended.lost, "lost") | extended.asked
            if words:
                self._tell([(lease, words[lease.job_id]) for lease in batch if lease.job_id in words])
        self._shown_state = facts["state"]

    def _tell(self, news: News) -> None:
        try:
            self._loop.call_soon_threadsafe(self._heard, news)
        except RuntimeError:
            self._over.set()  # the loop is closed
