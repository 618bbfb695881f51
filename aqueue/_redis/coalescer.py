"""What one loop enqueues into one queue within one turn, or while a call is under way, sent in one call.

Each job has its own nonce and its own answer. A waiter that is cancelled does not cancel the call.
"""

from __future__ import annotations

import asyncio
import bisect
import copy
import itertools
import operator
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aqueue._redis.durability import Unconfirmed
from aqueue._redis.faults import PATIENCE
from aqueue._redis.keys import Keys
from aqueue._redis.operations import BATCH, BATCH_BYTES, NewJob, Operation, Stored, enqueue
from aqueue.errors import EnqueueUncertain, NotReplicated, QueueFull, QueueUnavailable

T = TypeVar("T")


class Run(Protocol):
    """`AsyncClient.run`, as far as it is needed here."""

    def __call__(self, operation: Operation[Stored], *, patience: float | None) -> Awaitable[Stored]: ...


_size = operator.attrgetter("job.size")

#: When it was stored, unix ms, and the script's word for it.
Answer = tuple[int, str]


@dataclass(slots=True)
class _Waiting:
    job: NewJob
    answer: asyncio.Future[Answer]
    #: The loop's time when it was enqueued: patience counts from there.
    since: float


class Coalescer:
    """The enqueues of one loop for one queue, of one durability."""

    def __init__(self, run: Run, keys: Keys, queue: str) -> None:
        self._run = run
        self._keys = keys
        self._queue = queue
        self._waiting: list[_Waiting] = []
        self._sender: asyncio.Task[None] | None = None

    def enqueue(self, job: NewJob) -> asyncio.Future[Answer]:
        """Store one job, together with whatever else is enqueued in this turn of the loop.

        Awaiting it raises:
            EnqueueUncertain: It may have been stored; its `retry` is the caller's to set.
            NotReplicated: It is stored, but not as safely as it asks; likewise.
            QueueUnavailable: It was not stored.
            QueueFull: Redis is out of memory; it was not stored.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(job, loop.create_future(), loop.time())
        self._waiting.append(waiting)
        if self._sender is None or self._sender.done():  # an eager task may end while it is made
            self._sender = loop.create_task(self._send_all())
        return waiting.answer

    async def _send_all(self) -> None:
        """Send call after call until nothing waits: one at a time, so that jobs keep their order."""
        try:
            while self._waiting:
                batch = next(batches(self._waiting, size=_size))
                del self._waiting[: len(batch)]
                await self._send(batch)
        finally:
            self._sender = None

    async def _send(self, batch: Sequence[_Waiting]) -> None:
        waited = asyncio.get_running_loop().time() - batch[0].since
        operation = enqueue(self._keys, self._queue, [waiting.job for waiting in batch])
        try:
            stored = await self._run(operation, patience=max(0.0, PATIENCE - waited))
        except Exception as error:
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(own_error(error, waiting.job.id))
            if isinstance(error, QueueUnavailable):
                self._fail_overdue(error)
        except BaseException:  # the loop is ending
            for waiting in [*batch, *self._waiting]:
                waiting.answer.cancel()
            self._waiting.clear()
            raise
        else:
            for waiting, word in zip(batch, stored.words, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result((stored.at_ms, word))

    def _fail_overdue(self, error: QueueUnavailable) -> None:
        """Redis is away: who has waited long enough behind others does not wait for tries of its own."""
        latest = asyncio.get_running_loop().time() - PATIENCE
        overdue = [waiting for waiting in self._waiting if waiting.since <= latest]
        del self._waiting[: len(overdue)]  # they wait in the order in which they came
        unsent = QueueUnavailable(str(error))  # whatever is uncertain about the others
        unsent.refused = error.refused
        for waiting in overdue:
            if not waiting.answer.done():
                waiting.answer.set_exception(own_error(unsent, waiting.job.id))


def batches(items: Sequence[T], size: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Cut into calls of at most 100 jobs and 4 MiB, at least one job each."""
    start = 0
    while batch := items[start : start + BATCH]:
        sums = list(itertools.accumulate(map(size, batch)))
        fitting = bisect.bisect_right(sums, BATCH_BYTES)
        yield batch[: max(1, fitting)]
        start += max(1, fitting)


def own_error(error: Exception, job_id: str) -> Exception:
    """The error for one of the jobs that shared a call: each waiter raises an object of its own."""
    if isinstance(error, QueueUnavailable) and error.uncertain:
        own: Exception = EnqueueUncertain(job_id, cause=str(error))
    elif isinstance(error, Unconfirmed):
        own = NotReplicated(job_id, durability=error.durability, confirmed=error.confirmed)
    elif isinstance(error, QueueUnavailable | QueueFull):
        own = type(error)(f"job {job_id!r} was not enqueued: {error}")
        own.__dict__.update(error.__dict__)
    else:
        own = copy.copy(error)
    own.__cause__ = error
    return own
