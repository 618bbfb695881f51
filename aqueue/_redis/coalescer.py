"""What one loop enqueues into one queue within one turn, or while a call is under way, sent in one call.

After a call with one job, the next one is sent at once: there is nobody to wait for. Where that is wrong, the
others follow in a second call, as a second half does.

Each job has its own nonce and its own answer. A waiter that is cancelled does not cancel the call.
"""

from __future__ import annotations

import asyncio
import bisect
import copy
import functools
import itertools
import operator
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from aqueue._redis.durability import Unconfirmed
from aqueue._redis.faults import PATIENCE
from aqueue._redis.keys import Keys
from aqueue._redis.operations import BATCH, BATCH_BYTES, NewJob, Operation, Stored, enqueue
from aqueue.errors import EnqueueUncertain, NotReplicated, QueueFull, QueueUnavailable

T = TypeVar("T")


#: An answer that is under way: Redis' replies.
Begun = asyncio.Future[list[Any]]


class Client(Protocol):
    """`AsyncClient`, as far as it is needed here."""

    def begin(self, operation: Operation[Stored]) -> Begun | None:
        """Send a call at once, if that is possible."""
        ...

    def run(
        self, operation: Operation[Stored], *, patience: float | None, begun: Begun | None
    ) -> Awaitable[Stored]:
        """Send a call, or take over one that was sent, and see it through."""
        ...


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

    def __init__(self, client: Client, keys: Keys, queue: str) -> None:
        self._client = client
        self._keys = keys
        self._queue = queue
        self._waiting: list[_Waiting] = []
        #: The jobs of the call that is under way, and its answer.
        self._batch: Sequence[_Waiting] = ()
        self._begun: Begun | None = None
        #: A call is under way, or will be in this turn of the loop.
        self._is_busy = False
        #: The last call had one job.
        self._was_alone = False
        #: Sees a call through that does not go smoothly.
        self._task: asyncio.Task[None] | None = None

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
        if not self._is_busy:
            self._is_busy = True
            if self._was_alone:
                self._send()
            else:
                loop.call_soon(self._send)
        return waiting.answer

    def abandon(self) -> None:
        """Give up where nobody waits any more, as when the loop ends: an answer due keeps its line open."""
        if self._begun is not None and all(each.answer.done() for each in (*self._batch, *self._waiting)):
            self._waiting.clear()
            self._begun.cancel()

    def _send(self) -> None:
        """Send a call; the next one follows when this is answered, so that jobs keep their order."""
        self._begun = None
        if not self._waiting:
            self._batch = ()
            self._is_busy = False
            return
        # With none under way: while Redis stores one half of a hundred, this program makes the other.
        most = BATCH // 2 if not self._batch and len(self._waiting) <= BATCH else BATCH
        self._batch = batch = next(batches(self._waiting[:most], size=_size))
        del self._waiting[: len(batch)]
        self._was_alone = len(batch) == 1
        operation = enqueue(self._keys, self._queue, [waiting.job for waiting in batch])
        try:
            self._begun = self._client.begin(operation)
        except Exception:  # such as no memory for it
            self._begun = None
        if self._begun is None:
            self._see_through(operation)
        else:
            self._begun.add_done_callback(functools.partial(self._answered, operation))

    def _answered(self, operation: Operation[Stored], begun: Begun) -> None:
        """Hand out the answer; no task and no turn of the loop is spent on a call that goes smoothly."""
        try:
            stored = operation.decode(begun.result()[0])
        except asyncio.CancelledError:  # nobody waits for it
            self._send()
        except Exception:  # who sees it through gets the same, and knows what to do
            self._see_through(operation, begun)
        else:
            self._hand_out(stored)
            self._send()

    def _see_through(self, operation: Operation[Stored], begun: Begun | None = None) -> None:
        self._task = asyncio.get_running_loop().create_task(self._try(operation, begun))

    async def _try(self, operation: Operation[Stored], begun: Begun | None) -> None:
        batch = self._batch
        waited = asyncio.get_running_loop().time() - batch[0].since
        try:
            patience = max(0.0, PATIENCE - waited)
            stored = await self._client.run(operation, patience=patience, begun=begun)
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
            self._send()
            raise
        else:
            self._hand_out(stored)
        self._send()

    def _hand_out(self, stored: Stored) -> None:
        for waiting, word in zip(self._batch, stored.words, strict=True):
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
