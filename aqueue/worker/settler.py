"""Record outcomes: all of one turn of the loop in one call, again and again until Redis answers.

Recording is not running: a failure here never changes an outcome, it only delays it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from aqueue._core.logs import get_logger
from aqueue._core.outcome import Failed, Finished, Outcome, Retried
from aqueue._redis import operations
from aqueue._redis.coalescer import batches
from aqueue._redis.faults import ServerError
from aqueue.connection import Namespace
from aqueue.worker.running import Execution

logger: logging.Logger = get_logger("aqueue.worker")

#: Seconds before a settlement is tried again that Redis refused outright.
REFUSED_PAUSE = 2.0

Ended = tuple[Execution, Outcome]


class Settler:
    """The outcomes of a worker on their way to Redis."""

    def __init__(
        self,
        space: Namespace,
        *,
        sent: Callable[[Sequence[Ended]], None],
        refused: Callable[[Sequence[Ended]], None],
        settled: Callable[[Sequence[Ended], Sequence[str]], None],
    ) -> None:
        """Make a settler.

        Args:
            sent: Called with outcomes that are sent before whatever it wakes may send something.
            refused: Called with outcomes that Redis has refused; they will be sent again.
            settled: Called with outcomes and Redis' word for each; see `operations.settle`.
        """
        self._space = space
        self._sent = sent
        self._refused = refused
        self._settled = settled
        self._ended: list[Ended] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, execution: Execution, outcome: Outcome) -> None:
        """Record an outcome with this turn's others."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._flush)
        self._ended.append((execution, outcome))

    def abandon(self) -> None:
        """Stop trying: the leases bring the jobs back."""
        for task in self._tasks:
            task.cancel()

    def _flush(self) -> None:
        ended, self._ended = self._ended, []
        for batch in batches(ended, size=_size):
            self._send(batch)

    def _send(self, batch: Sequence[Ended]) -> None:
        task = asyncio.get_running_loop().create_task(self._settle(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._sent(batch)  # whoever it wakes takes a step after the task's first, which sends

    async def _settle(self, batch: Sequence[Ended]) -> None:
        pairs = [(execution.lease, outcome) for execution, outcome in batch]
        try:
            words = await self._space.client.run(operations.settle(self._space.keys, pairs), patience=None)
        except ServerError:
            ids = ", ".join(execution.lease.job_id for execution, _ in batch)
            logger.exception("Redis refuses to record how these jobs ended, trying again: %s", ids)
            self._refused(batch)
            await asyncio.sleep(REFUSED_PAUSE)
            for ended in batch:  # each alone, so that one damaged record does not hold up the others
                self._send([ended])
            return
        self._settled(batch, words)


def _size(ended: Ended) -> int:
    """Bytes that an outcome brings along, about."""
    match ended[1]:
        case Finished(result):
            return len(result or b"")
        case Failed(_, message, traceback) | Retried(Failed(_, message, traceback), _):
            return len(message) + len(traceback)
        case _:
            return 0
