"""`SyncClient`: runs operations and lookups from a thread, on one blocking connection.

For the heartbeat thread and for jobs in threads. The same operations and the same faults
table as `AsyncClient`; only the waiting differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import redis.exceptions as redis_errors

from aqueue._redis.client import explain, pack
from aqueue._redis.faults import CAUGHT, PATIENCE, Attempts, Verdict
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.pool import start
from aqueue._redis.scripts import Argument, Script
from aqueue._redis.source import Source

T = TypeVar("T")


class SyncClient:
    """One connection, shared by threads one call at a time."""

    def __init__(self, source: Source, *, timeout: float = 5.0) -> None:
        self.source = source
        self._timeout = timeout
        self._connection: Any = None
        self._lock = threading.Lock()

    def run(self, operation: Operation[T], *, patience: float = PATIENCE) -> T:
        """Call a script and decode its reply; see `AsyncClient.run`."""
        script = operation.script
        call = ("EVALSHA", script.sha, len(operation.keys), *operation.keys, *operation.args)
        try:
            replies = self._try([call], Attempts(self.source.shown, patience), script)
        except redis_errors.ResponseError as error:
            explain(error, script)
            raise
        return operation.decode(replies[0])

    def read(self, lookup: Lookup[T], *, patience: float = PATIENCE) -> T:
        """Run a lookup's commands in one pipeline; see `AsyncClient.read`."""
        return lookup.decode(self._try(lookup.commands, Attempts(self.source.shown, patience)))

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        with self._lock:
            self._disconnect()

    def _try(
        self, commands: Sequence[tuple[Argument, ...]], attempts: Attempts, script: Script | None = None
    ) -> list[Any]:
        while True:
            try:
                with self._lock:
                    return self._exchange(commands)
            except CAUGHT as error:
                verdict = attempts.failed(error, sent=True)
            if verdict is Verdict.LOAD and script is not None:
                self._try([("SCRIPT", "LOAD", script.text)], attempts)
                continue
            if verdict is Verdict.RECONNECT:
                self.close()
            time.sleep(attempts.pause())

    def _exchange(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        if self._connection is None:
            path = start(self.source.start) if self.source.start is not None else None
            self._connection = self.source.sync_connection(path, timeout=self._timeout)
        connection = self._connection
        replies: list[Any] = []
        failure: Exception | None = None
        try:
            connection.send_packed_command([b"".join(map(pack, commands))], check_health=False)
            for _ in commands:
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except redis_errors.ResponseError as error:
                    failure = failure or error
        except BaseException:
            self._disconnect()
            raise
        if failure is not None:
            raise failure
        return replies

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
