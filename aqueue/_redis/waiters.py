"""Any number of waiters for the ends of jobs, on one subscribing connection.

The channel tells that a job has ended; the truth is read from its record. All are read again
every 2 s and whenever the subscription stands again, so a lost message costs 2 s at most.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from aqueue._core.status import ENDED
from aqueue._redis.keys import Keys
from aqueue._redis.lookups import Snapshot, snapshots, statuses
from aqueue.errors import AqueueError, QueueUnavailable

if TYPE_CHECKING:
    from typing import Protocol, TypeVar

    from aqueue._redis.operations import Lookup
    from aqueue._redis.subscriber import Subscriber

    T = TypeVar("T")

    class Reader(Protocol):
        """The client, as far as waiters need it."""

        subscriber: Subscriber

        async def read(self, lookup: Lookup[T]) -> T: ...


REREAD = 2.0
#: Jobs per pipeline.
CHUNK = 1_000

Ended = Snapshot | None


class Waiters:
    """The waiters of one loop, by namespace and job."""

    def __init__(self, client: Reader) -> None:
        self._client = client
        self._futures: dict[tuple[Keys, str], list[asyncio.Future[Ended]]] = {}
        self._unread: set[tuple[Keys, str]] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def ended(self, keys: Keys, job_id: str) -> Ended:
        """Wait until the job has ended; None when there is no such job. Cancelling only ends the wait."""
        job = keys, job_id
        future: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(job, [])
        futures.append(future)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._read_on())
        if len(futures) == 1:
            self._client.subscriber.subscribe(keys.done_channel(job_id), lambda message: self._look(job))
        else:
            self._look(job)
        try:
            return await future
        finally:
            futures.remove(future)
            if not futures:
                del self._futures[job]
                self._unread.discard(job)
                self._client.subscriber.unsubscribe(keys.done_channel(job_id))

    @property
    def is_busy(self) -> bool:
        """Whether anybody waits."""
        return bool(self._futures)

    async def aclose(self) -> None:
        """End the reader; who still waits gets QueueUnavailable."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for futures in list(self._futures.values()):
            for future in futures:
                if not future.done():
                    future.set_exception(
                        QueueUnavailable("the connections were closed while a job was waited for")
                    )

    def _look(self, job: tuple[Keys, str]) -> None:
        self._unread.add(job)
        self._wanted.set()

    async def _read_on(self) -> None:
        loop = asyncio.get_running_loop()
        next_all = loop.time() + REREAD
        while True:
            try:
                async with asyncio.timeout_at(next_all):
                    await self._wanted.wait()
            except TimeoutError:
                self._unread.update(self._futures)
                next_all = loop.time() + REREAD
            self._wanted.clear()
            unread = list(self._unread)
            self._unread.clear()
            try:
                await self._read(unread)
            except AqueueError:
                self._unread.update(job for job in unread if job in self._futures)  # the next turn reads them
            except Exception:  # one of the records is damaged
                await self._read_each(unread)

    async def _read(self, jobs: Sequence[tuple[Keys, str]]) -> None:
        """Read these jobs, and tell the waiters of those that have ended or are gone."""
        for keys, ids in _chunks(jobs):
            found = await self._client.read(statuses(keys, ids))
            over = [
                job_id
                for job_id, (status, gone) in zip(ids, found, strict=True)
                if status is None or gone or status.decode("utf-8", "replace") in ENDED
            ]
            ended = await self._client.read(snapshots(keys, over))
            for job_id, snapshot in zip(over, ended, strict=True):
                if snapshot is None or snapshot.record.gone or snapshot.record.status in ENDED:
                    self._tell((keys, job_id), snapshot)

    async def _read_each(self, jobs: Sequence[tuple[Keys, str]]) -> None:
        """One damaged record must not hold up the waiters of others: theirs get the error."""
        for job in jobs:
            try:
                await self._read([job])
            except AqueueError:
                self._look(job)
            except Exception as error:
                for future in self._futures.get(job, ()):
                    if not future.done():
                        future.set_exception(copy.copy(error))

    def _tell(self, job: tuple[Keys, str], snapshot: Ended) -> None:
        for future in self._futures.get(job, ()):
            if not future.done():
                future.set_result(snapshot)


def _chunks(jobs: Sequence[tuple[Keys, str]]) -> Iterator[tuple[Keys, list[str]]]:
    by_namespace: dict[Keys, list[str]] = {}
    for keys, job_id in jobs:
        by_namespace.setdefault(keys, []).append(job_id)
    for keys, ids in by_namespace.items():
        for start in range(0, len(ids), CHUNK):
            yield keys, ids[start : start + CHUNK]
