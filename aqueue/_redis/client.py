"""`AsyncClient`: runs operations and lookups on one event loop, through any fault of Redis or the network.

Each try has a deadline; what failed is tried again until the caller's patience is over. That is
safe because every script gives the same answer when it is replayed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, cast

import hiredis
import redis.exceptions as redis_errors

from aqueue._core.durability import LOCAL
from aqueue._core.logs import get_logger
from aqueue._redis import durability
from aqueue._redis.coalescer import Answer, Begun, Coalescer
from aqueue._redis.faults import CAUGHT, PATIENCE, Attempts, Verdict, asking, describe, is_late
from aqueue._redis.keys import Keys, check_layout
from aqueue._redis.line import Line, Switchboard, Switchboards
from aqueue._redis.lookups import Snapshot
from aqueue._redis.operations import _SCRIPTS, Lookup, NewJob, Operation
from aqueue._redis.permissions import database_of, lacking, missing_for, missing_rules, remedy
from aqueue._redis.scripts import Argument, Script
from aqueue._redis.source import Source
from aqueue._redis.subscriber import Subscriber
from aqueue._redis.waiters import Waiters
from aqueue._redis.watch import Watch
from aqueue.errors import AqueueError, QueueUnavailable

T = TypeVar("T")

logger = get_logger("aqueue")

#: redis-py's asyncio connections pack in Python, which costs a worker a third of its time.
pack = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]

#: Seconds after an outage was logged in which no other is: a full disk or a replica refuses writes alone, and
#: each read that succeeds looks like the end of it.
QUIET = 30.0

_LINE = re.compile(r"user_script:(\d+)")


class Client(Protocol):
    """What queues and jobs need: `AsyncClient` on an event loop, `BlockingClient` in a thread without one."""

    @property
    def is_down(self) -> bool:
        """Whether Redis did not answer the last try."""
        ...

    def begin(self, operation: Operation[Any]) -> Begun | None:
        """Send a call at once, for `run` to see through, if that is possible."""
        ...

    async def run(
        self, operation: Operation[T], *, patience: float | None = PATIENCE, begun: Begun | None = None
    ) -> T:
        """Call a script and decode its reply."""
        ...

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline, and decode the replies."""
        ...

    def enqueue(self, keys: Keys, queue: str, job: NewJob) -> Awaitable[Answer]:
        """Store one job."""
        ...

    async def ended(self, keys: Keys, job_id: str, seconds: float | None) -> Snapshot | None:
        """Wait until a job has ended."""
        ...


class AsyncClient:
    """Everything that one event loop holds towards one Redis."""

    def __init__(self, source: Source, permitted: set[str] | None = None) -> None:
        """Make a client; no I/O. `permitted`: see there; shared by the clients of one process."""
        self.source = source
        #: Scripts that this user is known to be allowed to run to their end.
        self.permitted: set[str] = set() if permitted is None else permitted
        #: Scripts and other reads have a line each: a read of many large results must not hold up a claim.
        self._calls = Switchboard(source)
        self._reads = Switchboard(source)
        #: What waits for replicas or a disk holds up nothing else.
        self._durable = Switchboards(source)
        #: Which durabilities the server can answer for.
        self._tried: set[str] = set()
        self.subscriber: Subscriber = Subscriber(source)
        self.waiters: Waiters = Waiters(self)
        self._watch = None if source.sentinels is None else Watch(source, source.sentinels)
        self._coalescers: dict[tuple[str, str, str], Coalescer] = {}
        self._down_since: float | None = None
        #: Whether that was logged, and until when nothing is.
        self._is_told = False
        self._quiet_until = 0.0
        #: Workers of this loop, which need it open.
        self.workers = 0

    def begin(self, operation: Operation[Any]) -> Begun | None:
        """Send a call at once, for `run` to see through; None where that takes more than sending it."""
        line = self._calls.line
        is_simple = operation.durability == LOCAL and operation.script.sha in self.permitted
        if line is None or self.is_down or not is_simple:
            return None
        answer = line.send(pack(evalsha(operation)), 1)
        if self._calls.is_closed:
            self._calls.drop()
        return answer

    async def run(
        self, operation: Operation[T], *, patience: float | None = PATIENCE, begun: Begun | None = None
    ) -> T:
        """Call a script and decode its reply. One round trip, when nothing goes wrong.

        Calls share one connection, and follow each other without waiting. Cancelling only ends the wait. The
        first call of a script that writes is preceded by the question whether all of it is permitted.

        Args:
            patience: Seconds of trying; None: for ever, also when memory is full or credentials are refused.
            begun: What `begin` has returned.

        Raises:
            QueueUnavailable: Patience is over; `uncertain` tells whether it may have been carried out.
            QueueFull: Redis is out of memory.
            Unconfirmed: It is carried out, but not as safely as the operation asks.
            SettingsError: The server cannot say how safe it is.
            AqueueError: What the operation's `decode` makes of the reply.
        """
        script = operation.script
        attempts = Attempts(self.source, patience)
        try:
            if script.sha not in self.permitted:
                await self._check(operation, attempts)
            if operation.durability == LOCAL:
                [reply] = await self._try(self._calls, [evalsha(operation)], attempts, script, begun)
            else:
                with self._durable.board() as board:
                    reply = await self._run_durably(board, operation, attempts)
        except redis_errors.ResponseError as error:
            explain(error, script)
            raise
        return operation.decode(reply)

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline, and decode the replies.

        Raises:
            QueueUnavailable: Patience is over.
        """
        if not lookup.commands:
            return lookup.decode([])
        replies = await self._try(self._reads, lookup.commands, Attempts(self.source, patience))
        return lookup.decode(replies)

    def enqueue(self, keys: Keys, queue: str, job: NewJob) -> Awaitable[Answer]:
        """Store one job, together with others of this loop for the same queue; see `Coalescer.enqueue`."""
        name = keys.prefix, queue, job.durability
        found = self._coalescers.get(name)
        if found is None:
            found = self._coalescers[name] = Coalescer(self, keys, queue)
        return found.enqueue(job)

    async def ended(self, keys: Keys, job_id: str, seconds: float | None) -> Snapshot | None:
        """Wait until a job has ended; None when there is no such job. None seconds: for ever.

        Raises:
            TimeoutError: It has not.
        """
        async with asyncio.timeout(seconds):
            return await self.waiters.ended(keys, job_id)

    async def _check(self, operation: Operation[Any], attempts: Attempts) -> None:
        """Ask before a script's first call whether all of it is permitted, so that it does not end halfway.

        Raises:
            QueueUnavailable: It is not, or Redis is away.
        """
        script = operation.script
        if script.writes:
            question = missing_for(operation)
            with asking(attempts):
                call = ("EVALSHA", question.script.sha, 0, *question.args)
                [reply] = await self._try(self._calls, [call], attempts, question.script)
                if missing := question.decode(reply):
                    raise lacking(self.source, missing, missing)
        self.permitted.add(script.sha)

    @property
    def is_down(self) -> bool:
        """Whether Redis did not answer the last try."""
        return self._down_since is not None

    async def check_permissions(self, keys: Keys) -> None:
        """Ask whether this user may do all that workers and programs do. One round trip, and no writes.

        Raises:
            QueueUnavailable: It may not, and `missing` says what; or Redis does not answer.
        """
        try:
            missing: Sequence[str] = await self.run(missing_rules(keys, database_of(self.source)))
        except QueueUnavailable as error:
            if not error.missing:
                raise
            missing = error.missing
        if missing:
            raise lacking(self.source, missing, remedy(missing, self.source, keys))
        self.permitted.update(script.sha for script in _SCRIPTS.values())

    async def load_scripts(self, keys: Keys) -> None:
        """Let the server know all scripts, as a call that must wait for its script would be overtaken.

        One round trip; the data is to have the layout that they are for.

        Raises:
            SettingsError: A newer version has changed it.
            QueueUnavailable: Redis does not answer, or is the wrong node of a cluster.
        """
        commands = [*(("SCRIPT", "LOAD", script.text) for script in _SCRIPTS.values()), ("GET", keys.schema)]
        try:
            *_, layout = await self._try(self._calls, commands, Attempts(self.source, PATIENCE))
        except redis_errors.ResponseError as error:
            if not is_late(error):
                raise
            return  # a foreign key, which `aqueue doctor` moves out of the way
        check_layout(keys, None if layout is None else layout.decode("utf-8", "replace"))

    async def check_node(self, keys: Keys, *, patience: float = PATIENCE) -> None:
        """Find out whether the node of a cluster is the one that has this namespace. One round trip.

        Raises:
            QueueUnavailable: It is not, and `moved_to` says which one is; or it does not answer.
        """
        try:
            await self.read(Lookup([("EXISTS", keys.absent)], lambda replies: None), patience=patience)
        except QueueUnavailable as error:
            if error.moved_to is not None or not error.refused:
                raise  # who lacks rights is told of them by what needs them

    async def ping(self, *, patience: float = PATIENCE) -> None:
        """Raise QueueUnavailable unless Redis answers."""
        await self.read(Lookup([("PING",)], lambda replies: None), patience=patience)

    async def aclose(self) -> None:
        """Close this loop's connections; the next call opens new ones."""
        for coalescer in self._coalescers.values():
            coalescer.abandon()
        await self.waiters.aclose()
        await self.subscriber.aclose()
        if self._watch is not None:
            await self._watch.aclose()
        await self._calls.aclose()
        await self._reads.aclose()
        await self._durable.aclose()

    async def _try(
        self,
        board: Switchboard,
        commands: Sequence[tuple[Argument, ...]],
        attempts: Attempts,
        script: Script | None = None,
        begun: Begun | None = None,
    ) -> list[Any]:
        packed = b"".join(map(pack, commands))
        while True:
            sent = begun is not None
            try:
                answer, begun = begun, None
                if answer is None:
                    line = board.line or await self._open(board)
                    sent = True
                    answer = line.send(packed, len(commands))
                    if board.is_closed:
                        board.drop()
                replies = await answer
                if self._down_since is not None:
                    self._log_up()
                return replies
            except CAUGHT as error:
                verdict = attempts.failed(error, sent=sent)
                if verdict is not Verdict.LOAD:
                    self._log_down(error, verdict)
            if verdict is Verdict.LOAD and script is not None:
                await self._try(board, [("SCRIPT", "LOAD", script.text)], attempts)
                continue
            if verdict is Verdict.RECONNECT:
                board.drop()
            await asyncio.sleep(attempts.pause())

    async def _run_durably(self, board: Switchboard, operation: Operation[Any], attempts: Attempts) -> Any:
        """Call a script and wait for its writes; that the server can say so is found out beforehand."""
        wanted = operation.durability
        if wanted not in self._tried:
            await self._try_to_ask(board, operation, attempts)
        commands = [evalsha(operation), *durability.questions(operation)]
        try:
            reply, *_, confirmed = await self._try(board, commands, attempts, operation.script)
        except redis_errors.ResponseError as error:
            self._tried.discard(wanted)  # the next call tells why, before anything is stored
            if is_late(error):
                raise durability.Unconfirmed(wanted, 0) from error
            raise
        try:
            durability.check(wanted, confirmed)
        except durability.Unconfirmed:
            board.drop()  # it may be no master any more
            raise
        return reply

    async def _try_to_ask(self, board: Switchboard, operation: Operation[Any], attempts: Attempts) -> None:
        """Find out, before anything is stored, that the server can say how safe it is."""
        failure: Exception | None = None
        with asking(attempts):
            try:
                await self._try(board, durability.trial(operation), attempts)
            except redis_errors.ResponseError as error:
                failure = error
        if failure is not None:
            await self._explain(operation.durability, failure)
            raise failure
        self._tried.add(operation.durability)

    async def _explain(self, wanted: str, error: Exception) -> None:
        """Raise SettingsError where the server answered that it cannot say."""
        try:
            server = await self.read(durability.SERVER)
        except (AqueueError, *CAUGHT):
            server = "an older one"
        durability.explain(wanted, error, server)

    async def _open(self, board: Switchboard) -> Line:
        if self._watch is not None:
            self._watch.start()
        return await board.open()

    def _log_down(self, error: Exception, verdict: Verdict) -> None:
        """Say once that Redis is away, however many calls try again, and others succeed meanwhile."""
        if self._down_since is not None:
            return
        self._down_since = now = time.monotonic()
        self._is_told = now >= self._quiet_until
        if self._is_told:
            self._quiet_until = now + QUIET
            does = "refuses calls" if verdict in (Verdict.REFUSED, Verdict.FULL) else "does not answer"
            logger.warning("Redis at %s %s, trying again: %s", self.source.shown, does, describe(error))

    def _log_up(self) -> None:
        seconds = time.monotonic() - (self._down_since or 0)
        self._down_since = None
        if self._is_told:
            logger.warning("Redis at %s answers again, after %.1f s", self.source.shown, seconds)


def evalsha(operation: Operation[Any]) -> tuple[Argument, ...]:
    """The command that calls its script."""
    return "EVALSHA", operation.script.sha, len(operation.keys), *operation.keys, *operation.args


def explain(error: Exception, script: Script) -> None:
    """Say where in our Lua sources an error arose."""
    line = _LINE.search(str(error))
    error.add_note(f"in {script.place(int(line[1]))}" if line else f"in lua/{script.name}.lua")
