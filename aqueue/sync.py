"""The current job for plain functions, which run in threads: the same attributes, I/O without `await`.

Calls go over the process's own blocking connection, not over the event loop. In a coroutine they
would block it, so there they are refused.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from aqueue._core.status import JobStatus
from aqueue._redis import lookups, operations
from aqueue._redis.sync_client import SyncClient
from aqueue.connection import Namespace
from aqueue.current import current_job
from aqueue.errors import NoSuchJobError
from aqueue.jobs import Job as AsyncJob
from aqueue.snapshot import JobView


class Job(JobView):
    """A job, as a plain function sees it."""

    __slots__ = ("_job", "_space")

    def __init__(self, job: AsyncJob[Any], space: Namespace) -> None:
        """Use `get_current_job`."""
        super().__init__(job._record, job._codec, job._result)
        self._job = job
        self._space = space
        self._token = job._token
        self._asked = job._asked

    @property
    def meta(self) -> dict[str, Any]:
        """The user's own data, the same as `aqueue.get_current_job().meta`."""
        return self._job.meta

    @meta.setter
    def meta(self, value: dict[str, Any]) -> None:
        self._job.meta = value

    @property
    def state(self) -> Any:
        """What the worker's lifespan yielded; see `aqueue.Job.state`."""
        return self._job.state

    def _client(self, method: str) -> SyncClient:
        refuse_in_coroutine(f"await get_current_job().{method}()")
        return self._space.connector.sync_client()

    def refresh(self) -> None:
        """Read the job again, with its result. One round trip.

        Raises:
            NoSuchJobError: It is gone.
        """
        [found] = self._client("refresh").read(lookups.snapshots(self._space.keys, [self.id]))
        if found is None or found.record.gone:
            raise NoSuchJobError(self.id)
        self._renew(found)
        self._job._renew(found)

    def get_status(self, refresh: bool = True) -> JobStatus:
        """Its status now; with `refresh=False` as last read. One round trip."""
        if refresh:
            self.refresh()
        return self.status

    def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Its meta now; with `refresh=False` as last read. One round trip."""
        if refresh:
            self.refresh()
        return self.meta

    def save_meta(self) -> None:
        """Write `meta`, the whole of it; the last writer wins. One round trip.

        Raises:
            LeaseLost: The job lost its lease: nothing was written.
            NoSuchJobError: The job is gone; it is not brought back.
            PayloadError: It cannot be encoded or is over the size limit.
        """
        client = self._client("save_meta")
        raw = self._codec.encode_meta(self.id, self.func_name, self.meta)
        client.run(operations.amend(self._space.keys, self.id, raw, token=self._token))
        self._record = self._record.evolve(meta=raw)


_here: ContextVar[tuple[AsyncJob[Any], Job] | None] = ContextVar("aqueue_sync_job", default=None)


def get_current_job() -> Job | None:
    """The job that this function runs for; None outside a job. No I/O.

    Raises:
        RuntimeError: Called in a coroutine: there it is `aqueue.get_current_job()`.
    """
    refuse_in_coroutine("aqueue.get_current_job()")
    current = current_job.get()
    if current is None:
        return None
    known = _here.get()
    if known is None or known[0] is not current:
        known = current, Job(current, current._space)
        _here.set(known)
    return known[1]


def refuse_in_coroutine(instead: str) -> None:
    """Raise where an event loop runs: a blocking call would stall all of its jobs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"aqueue.sync would block the event loop here: use `{instead}`")
