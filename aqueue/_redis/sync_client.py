"""`SyncClient`: runs operations and lookups from threads, on blocking connections.

For the heartbeat thread, for `aqueue.sync` and for jobs in threads. The same operations and the same
faults table as `AsyncClient`; only the waiting differs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeVar

import redis.exceptions as redis_errors

from aqueue._core.durability import LOCAL
from aqueue._redis import durability
from aqueue._redis.client import explain, pack
from aqueue._redis.connecting import connect_blocking
from aqueue._redis.faults import CAUGHT, LATE, PATIENCE, Attempts, Verdict, asking, is_late
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.permissions import lacking, missing_for
from aqueue._redis.scripts import Argument, Script
from aqueue._redis.source import Source
from aqueue.errors import AqueueError

T = TypeVar("T")


#: Idle connections that are kept.
KEPT = 10


class SyncClient:
    """Blocking connections: one for each thread that calls at the same time, kept for the next call."""

    def __init__(self, source: Source, permitted: set[str] | None = None, *, timeout: float = 5.0) -> None:
        self.source = source
        #: See `AsyncClient.permitted`.
        self.permitted: set[str] = set() if permitted is None else permitted
        #: Whether Redis did not answer the last try.
        self.is_down: bool = False
        self._timeout = timeout
        self._idle: list[Any] = []
        self._tried: set[str] = set()

    def run(self, operation: Operation[T], *, patience: float | None = PATIENCE) -> T:
        """Call a script and decode its reply; see `AsyncClient.run`."""
        script = operation.script
        call = ("EVALSHA", script.sha, len(operation.keys), *operation.keys, *operation.args)
        attempts = Attempts(self.source, patience)
        try:
            if script.sha not in self.permitted:
                self._check(operation, attempts)
            if operation.durability == LOCAL:
                [reply] = self._try([call], attempts, script)
            else:
                reply = self._run_durably(call, operation, attempts)
        except redis_errors.ResponseError as error:
            explain(error, script)
            raise
        return operation.decode(reply)

    def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline; see `AsyncClient.read`."""
        if not lookup.commands:
            return lookup.decode([])
        return lookup.decode(self._try(lookup.commands, Attempts(self.source, patience)))

    def _check(self, operation: Operation[Any], attempts: Attempts) -> None:
        """See `AsyncClient._check`."""
        script = operation.script
        if script.writes:
            question = missing_for(operation)
            with asking(attempts):
                call = ("EVALSHA", question.script.sha, 0, *question.args)
                [reply] = self._try([call], attempts, question.script)
                if missing := question.decode(reply):
                    raise lacking(self.source, missing, missing)
        self.permitted.add(script.sha)

    def _run_durably(self, call: tuple[Argument, ...], operation: Operation[Any], attempts: Attempts) -> Any:
        """See `AsyncClient._run_durably`."""
        wanted = operation.durability
        if wanted not in self._tried:
            self._try_to_ask(operation, attempts)
        commands = [call, *durability.questions(operation)]
        try:
            reply, *_, confirmed = self._try(commands, attempts, operation.script)
        except redis_errors.ResponseError as error:
            self._tried.discard(wanted)
            if is_late(error):
                raise durability.Unconfirmed(wanted, 0) from error
            raise
        try:
            durability.check(wanted, confirmed)
        except durability.Unconfirmed:
            self.close()
            raise
        return reply

    def _try_to_ask(self, operation: Operation[Any], attempts: Attempts) -> None:
        """Find out, before anything is stored, that the server can say how safe it is."""
        failure: Exception | None = None
        with asking(attempts):
            try:
                self._try(durability.trial(operation), attempts)
            except redis_errors.ResponseError as error:
                failure = error
        if failure is not None:
            self._explain(operation.durability, failure)
            raise failure
        self._tried.add(operation.durability)

    def _explain(self, wanted: str, error: Exception) -> None:
        """Raise SettingsError where the server answered that it cannot say."""
        try:
            server = self.read(durability.SERVER)
        except (AqueueError, *CAUGHT):
            server = "an older one"
        durability.explain(wanted, error, server)

    def connect(self) -> Any:
        """A connection of its own; embedded servers are started, sentinels are asked."""
        return connect_blocking(self.source, self._timeout)

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        while (connection := self._pop()) is not None:
            connection.disconnect()

    def _pop(self) -> Any:
        """An idle connection, or None; other threads take theirs meanwhile."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _try(
        self, commands: Sequence[tuple[Argument, ...]], attempts: Attempts, script: Script | None = None
    ) -> list[Any]:
        while True:
            exchange = _Exchange(commands)
            try:
                replies = exchange.run(self)
                self.is_down = False
                return replies
            except CAUGHT as error:
                verdict = attempts.failed(error, sent=exchange.sent)
                self.is_down = verdict is not Verdict.LOAD
            if verdict is Verdict.LOAD and script is not None:
                self._try([("SCRIPT", "LOAD", script.text)], attempts)
                continue
            if verdict is Verdict.RECONNECT:
                self.close()
            time.sleep(attempts.pause())

    def take(self) -> Any:
        """A connected connection; one that the server closed meanwhile is not taken."""
        while (connection := self._pop()) is not None:
            if not self._is_stale(connection):
                return connection
            connection.disconnect()
        return self.connect()

    def _is_stale(self, connection: Any) -> bool:
        """Whether it cannot be used: closed by the server, with a reply nobody waits for, or too old."""
        sentinels = self.source.sentinels
        try:
            return bool(connection.can_read(timeout=0)) or (
                sentinels is not None and sentinels.is_due(connection)
            )
        except CAUGHT:
            return True

    def give_back(self, connection: Any) -> None:
        """Keep it for the next call."""
        if len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.disconnect()


class _Exchange:
    """Commands sent in one write, and their replies."""

    __slots__ = ("_commands", "sent")

    def __init__(self, commands: Sequence[tuple[Argument, ...]]) -> None:
        self._commands = commands
        #: Whether they had begun to leave.
        self.sent = False

    def run(self, client: SyncClient) -> list[Any]:
        """The replies; raises the first error among them when all have been read."""
        connection = client.take()
        replies: list[Any] = []
        failure: Exception | None = None
        try:
            self.sent = True
            connection.send_packed_command([b"".join(map(pack, self._commands))], check_health=False)
            for _ in self._commands:
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except redis_errors.ResponseError as error:
                    if replies:
                        error.add_note(LATE)
                    failure = failure or error
        except BaseException:
            connection.disconnect()
            raise
        client.give_back(connection)
        if failure is not None:
            raise failure
        return replies
