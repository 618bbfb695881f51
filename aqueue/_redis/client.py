"""`AsyncClient`: runs operations and lookups on one event loop, through any fault of Redis or the network.

Each try has a deadline; what failed is tried again until the caller's patience is over. That is
safe because every script gives the same answer when it is replayed.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import hiredis
import redis.exceptions as redis_errors

from aqueue._redis.coalescer import Answer, Coalescer
from aqueue._redis.faults import CAUGHT, PATIENCE, Attempts, Verdict, describe
from aqueue._redis.keys import Keys
from aqueue._redis.lookups import Snapshot
from aqueue._redis.operations import Lookup, NewJob, Operation
from aqueue._redis.pool import Pool
from aqueue._redis.scripts import Argument, Script
from aqueue._redis.source import Source
from aqueue._redis.subscriber import Subscriber
from aqueue._redis.waiters import Waiters

T = TypeVar("T")

logger = logging.getLogger("aqueue")

#: Seconds for one try: connecting, sending and the reply.
DEADLINE = 5.0

#: redis-py's asyncio connections pack in Python, which costs a worker a third of its time.
pack = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]

_LINE = re.compile(r"user_script:(\d+)")


class Client(Protocol):
    """What queues and jobs need: `AsyncClient` on an event loop, `BlockingClient` in a thread without one."""

    @property
    def is_down(self) -> bool:
        """Whether Redis did not answer the last try."""
        ...

    async def run(self, operation: Operation[T], *, patience: float | None = PATIENCE) -> T:
        """Call a script and decode its reply."""
        ...

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline, and decode the replies."""
        ...

    async def enqueue(self, keys: Keys, queue: str, job: NewJob) -> Answer:
        """Store one job."""
        ...

    async def ended(self, keys: Keys, job_id: str, seconds: float | None) -> Snapshot | None:
        """Wait until a job has ended."""
        ...


class AsyncClient:
    """Everything that one event loop holds towards one Redis."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.pool: Pool = Pool(source)
        self.subscriber: Subscriber = Subscriber(self.pool)
        self.waiters: Waiters = Waiters(self)
        self._coalescers: dict[tuple[str, str], Coalescer] = {}
        self._down_since: float | None = None
        #: Workers of this loop, which need it open.
        self.workers = 0

    async def run(self, operation: Operation[T], *, patience: float | None = PATIENCE) -> T:
        """Call a script and decode its reply. One round trip, when nothing goes wrong.

        Cancelling drops the connection; the call may still be carried out.

        Args:
            patience: Seconds of trying; None: for ever, also when memory is full or credentials are refused.

        Raises:
            QueueUnavailable: Patience is over; `uncertain` tells whether it may have been carried out.
            QueueFull: Redis is out of memory.
            AqueueError: What the operation's `decode` makes of the reply.
        """
        script = operation.script
        call = ("EVALSHA", script.sha, len(operation.keys), *operation.keys, *operation.args)
        try:
            replies = await self._try([call], Attempts(self.source.shown, patience), script)
        except redis_errors.ResponseError as error:
            explain(error, script)
            raise
        return operation.decode(replies[0])

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline, and decode the replies.

        Raises:
            QueueUnavailable: Patience is over.
        """
        if not lookup.commands:
            return lookup.decode([])
        return lookup.decode(await self._try(lookup.commands, Attempts(self.source.shown, patience)))

    async def enqueue(self, keys: Keys, queue: str, job: NewJob) -> Answer:
        """Store one job, together with others of this loop for the same queue; see `Coalescer.enqueue`."""
        found = self._coalescers.get((keys.prefix, queue))
        if found is None:
            found = self._coalescers[keys.prefix, queue] = Coalescer(self.run, keys, queue)
        return await found.enqueue(job)

    async def ended(self, keys: Keys, job_id: str, seconds: float | None) -> Snapshot | None:
        """Wait until a job has ended; None when there is no such job. None seconds: for ever.

        Raises:
            TimeoutError: It has not.
        """
        async with asyncio.timeout(seconds):
            return await self.waiters.ended(keys, job_id)

    @property
    def is_down(self) -> bool:
        """Whether Redis did not answer the last try."""
        return self._down_since is not None

    async def ping(self, *, patience: float = PATIENCE) -> None:
        """Raise QueueUnavailable unless Redis answers."""
        await self.read(Lookup([("PING",)], lambda replies: None), patience=patience)

    async def aclose(self) -> None:
        """Close this loop's connections; the next call opens new ones."""
        await self.waiters.aclose()
        await self.subscriber.aclose()
        await self.pool.aclose()

    async def _try(
        self, commands: Sequence[tuple[Argument, ...]], attempts: Attempts, script: Script | None = None
    ) -> list[Any]:
        while True:
            exchange = Exchange(self.pool, commands)
            try:
                async with asyncio.timeout(DEADLINE):
                    replies = await exchange.run()
                if self._down_since is not None:
                    self._log_up()
                return replies
            except CAUGHT as error:
                verdict = attempts.failed(error, sent=exchange.sent)
                if verdict is not Verdict.LOAD:
                    self._log_down(error)
            if verdict is Verdict.LOAD and script is not None:
                await self._try([("SCRIPT", "LOAD", script.text)], attempts)
                continue
            if verdict is Verdict.RECONNECT:
                self.pool.drop()
            await asyncio.sleep(attempts.pause())

    def _log_down(self, error: Exception) -> None:
        """Say once that Redis is away, however many calls try again."""
        if self._down_since is None:
            self._down_since = time.monotonic()
            logger.warning(
                "Redis at %s does not answer, trying again: %s", self.source.shown, describe(error)
            )

    def _log_up(self) -> None:
        seconds = time.monotonic() - (self._down_since or 0)
        self._down_since = None
        logger.warning("Redis at %s answers again, after %.1f s", self.source.shown, seconds)


class Exchange:
    """Commands sent in one write, and their replies."""

    __slots__ = ("_commands", "_pool", "sent")

    def __init__(self, pool: Pool, commands: Sequence[tuple[Argument, ...]]) -> None:
        self._pool = pool
        self._commands = commands
        #: Whether they had begun to leave.
        self.sent = False

    async def run(self) -> list[Any]:
        """The replies; raises the first error among them when all have been read."""
        connection = await self._pool.take()
        try:
            packed = b"".join(map(pack, self._commands))
            self.sent = True
            await connection.send_packed_command(packed, check_health=False)
            replies: list[Any] = []
            failure: Exception | None = None
            for _ in self._commands:
                try:
                    replies.append(await connection.read_response(disable_decoding=True))
                except redis_errors.ResponseError as error:
                    failure = failure or error
        finally:
            self._pool.give_back(connection)
        if failure is not None:
            raise failure
        return replies


def explain(error: Exception, script: Script) -> None:
    """Say where in our Lua sources an error arose."""
    line = _LINE.search(str(error))
    error.add_note(f"in {script.place(int(line[1]))}" if line else f"in lua/{script.name}.lua")
