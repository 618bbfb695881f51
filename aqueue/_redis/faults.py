"""What to do about an error of Redis or of the way to it: the one table, and the patience to go with it.

redis-py strips the code from the message of errors it has a class for, so these are told by
class and the others by their first word. Both drivers use this; neither decides by itself.
"""

from __future__ import annotations

import os
import random
import re
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum

import redis.exceptions as redis_errors

from aqueue._redis.source import Source
from aqueue.errors import AqueueError, QueueFull, QueueUnavailable

#: How long a program that enqueues or reads goes on trying, seconds.
PATIENCE = 10.0
#: How often one call loads its script before it counts as a failure.
MAX_LOADS = 10
#: Bounds of the pause between two attempts, seconds.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 2.0


class Verdict(Enum):
    """What the error asks for."""

    #: Try again after a pause.
    RETRY = "retry"
    #: The connection leads to a replica, or to a master cut off from its replicas: try again on a new one.
    RECONNECT = "reconnect"
    #: The server does not know the script: load it, then try again at once.
    LOAD = "load"
    #: Out of memory.
    FULL = "full"
    #: Credentials, permissions, or keys that another node of the cluster has.
    REFUSED = "refused"
    #: A bug or a foreign key: trying again changes nothing.
    FATAL = "fatal"


_BY_CLASS: tuple[tuple[type[BaseException], Verdict], ...] = (
    (redis_errors.NoScriptError, Verdict.LOAD),
    (redis_errors.OutOfMemoryError, Verdict.FULL),
    (redis_errors.ReadOnlyError, Verdict.RECONNECT),
    (redis_errors.MasterDownError, Verdict.RECONNECT),
    (redis_errors.AuthenticationError, Verdict.REFUSED),
    (redis_errors.AuthorizationError, Verdict.REFUSED),
    (redis_errors.NoPermissionError, Verdict.REFUSED),
    (redis_errors.MovedError, Verdict.REFUSED),
    (redis_errors.AskError, Verdict.RETRY),
    (redis_errors.ConnectionError, Verdict.RETRY),
    (redis_errors.TimeoutError, Verdict.RETRY),
    (redis_errors.TryAgainError, Verdict.RETRY),
    (redis_errors.ClusterDownError, Verdict.RETRY),
    (redis_errors.InvalidResponse, Verdict.RETRY),
    (OSError, Verdict.RETRY),  # also the built-in TimeoutError
    (EOFError, Verdict.RETRY),
)
_BY_WORD = {
    "MISCONF": Verdict.RETRY,
    "BUSY": Verdict.RETRY,
    "NOREPLICAS": Verdict.RECONNECT,
    "LOADING": Verdict.RETRY,
    "TRYAGAIN": Verdict.RETRY,
    "CLUSTERDOWN": Verdict.RETRY,
    "MASTERDOWN": Verdict.RECONNECT,
    "READONLY": Verdict.RECONNECT,
    "UNBLOCKED": Verdict.RECONNECT,
    "OOM": Verdict.FULL,
    "NOAUTH": Verdict.REFUSED,
    "WRONGPASS": Verdict.REFUSED,
    "NOPERM": Verdict.REFUSED,
    "NOSCRIPT": Verdict.LOAD,
}

#: A command that is forbidden inside a script has no code: Valkey's words, and those of Redis 7.0. Neither
#: has a call that is too long for who is not logged in.
_FORBIDDEN = (
    "ACL failure in script",
    "The user executing the script can't run",
    "Protocol error: unauthenticated",
)

#: What a server says that cannot be used as the URL names it, and what to tell of it.
_UNUSABLE = {
    "DB index is out of range": "has no database {db}, as its setting `databases` says",
    "unknown command 'EVALSHA'": "runs no scripts: for a sentinel the URL is sentinel://host:port/master",
    "unknown command `EVALSHA`": "runs no scripts: for a sentinel the URL is sentinel://host:port/master",
    "Client names cannot contain": "does not take client_name={client_name!r}",
}

#: The user, whom Redis 7.0 does not name, and the command that it may not call.
_NO_PERMISSION = re.compile(r"(?:User (\S+)|this user) has no permissions to run the '([\w|]+)' command")

#: Noted on the error of a command when one that was sent with it, before it, was carried out.
LATE = "what was sent before it has been carried out"
_REPLICA = re.compile(r"WAIT(AOF)? cannot be used with replica")

#: Hosts as a cluster may name them: names and addresses.
_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9_.:-]{0,252}")

#: What Redis itself answers to a call that it refuses: a foreign key in the way, a bug of ours.
ServerError = redis_errors.RedisError

#: What a driver catches; anything else is not about Redis.
CAUGHT = (redis_errors.RedisError, OSError, EOFError)


def judge(error: BaseException) -> Verdict:
    """What the error asks for."""
    if is_distrust(error):
        return Verdict.REFUSED
    for kind, verdict in _BY_CLASS:
        if isinstance(error, kind):
            return verdict
    text = str(error)
    if text.startswith((*_FORBIDDEN, *_UNUSABLE)):
        return Verdict.REFUSED
    if _REPLICA.match(text):
        return Verdict.RECONNECT
    return _BY_WORD.get(text.partition(" ")[0], Verdict.FATAL)


def is_late(error: BaseException) -> bool:
    """Whether it is about what follows a call, as the wait for replicas does: the call was carried out."""
    return LATE in getattr(error, "__notes__", ())


def is_distrust(error: BaseException) -> bool:
    """Whether it is we who refuse: the server's certificate does not prove that it is the right one."""
    return isinstance(error.__context__, ssl.SSLCertVerificationError)


class Attempts:
    """The tries of one call: how long to pause after each failure, and which error ends them."""

    def __init__(self, source: Source, patience: float | None = PATIENCE) -> None:
        self._source = source
        self._patience = patience
        self._started = time.monotonic()
        self._failures = 0
        self._loads = 0
        #: Whether some try may have reached the server without our seeing its answer.
        self.uncertain = False

    def failed(self, error: Exception, *, sent: bool) -> Verdict:
        """Note a failure; the verdict is RETRY, RECONNECT or LOAD.

        Args:
            sent: Whether the command had begun to leave.

        Raises:
            QueueFull: Out of memory, so nothing was stored.
            QueueUnavailable: Patience is over, or the credentials are refused.
            Exception: The error itself, when trying again changes nothing.
        """
        verdict = judge(error)
        if verdict is Verdict.FATAL:
            raise error
        if verdict is Verdict.LOAD and self._loads < MAX_LOADS:
            self._loads += 1
            return verdict
        if verdict is Verdict.FULL and self._patience is not None:
            raise QueueFull(
                f"Redis at {self._source.shown} is out of memory (maxmemory) and takes no new jobs: "
                "let workers finish some, or give it more memory"
            ) from error
        if verdict is Verdict.REFUSED and self._patience is not None:
            self.uncertain = self.uncertain or is_late(error)
            raise self._refused(error) from error
        self.uncertain = self.uncertain or (sent and verdict is not Verdict.LOAD and not _answered(error))
        self._failures += 1
        if self._patience is not None and time.monotonic() - self._started > self._patience:
            waited = f" for {self._patience:g} s" if self._patience else ""
            raise self._unavailable(f"did not answer{waited}: {describe(error)}") from error
        return verdict

    def pause(self) -> float:
        """Seconds until the next try: full jitter, growing."""
        return random.uniform(
            SHORTEST_PAUSE / 2, min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** min(self._failures, 10))
        )

    def _refused(self, cause: Exception) -> AqueueError:
        for words, reason in _UNUSABLE.items():
            if str(cause).startswith(words):
                options = self._source.options
                return self._unavailable(
                    reason.format(db=options.get("db"), client_name=options.get("client_name"))
                )
        found = _NO_PERMISSION.search(str(cause))
        if isinstance(cause, redis_errors.MovedError):
            error = self._unavailable(
                f"does not have this namespace: {describe(cause)}. Give the URL of that node"
            )
            error.moved_to = address_of(cause)
        elif is_distrust(cause):
            error = self._unavailable(f"is not trusted: {describe(cause)}")
        else:
            line = f". To give them: ACL SETUSER {found[1] or self._source.user} +{found[2]}" if found else ""
            error = self._unavailable(
                f"refuses the credentials or lacks permissions: {describe(cause)}{line}"
            )
        error.refused = True
        error.missing = (f"+{found[2]}",) if found else ()
        return error

    def _unavailable(self, reason: str) -> QueueUnavailable:
        error = QueueUnavailable(f"Redis at {self._source.shown} {reason}")
        error.uncertain = self.uncertain
        return error


@contextmanager
def asking(attempts: Attempts) -> Generator[None]:
    """What is asked before a call: it makes nothing uncertain, and a server that cannot tell permits it."""
    try:
        yield
    except QueueUnavailable as error:
        error.uncertain = False
        raise
    except redis_errors.ResponseError:
        pass
    finally:
        attempts.uncertain = False


def _answered(error: BaseException) -> bool:
    """Whether the server itself said no, and so did nothing."""
    if is_late(error):
        return False
    refused = isinstance(error, redis_errors.ResponseError | redis_errors.BusyLoadingError)
    return refused or str(error).startswith("max number of clients reached")


def address_of(error: redis_errors.AskError) -> str:
    """The node that the server names, as URLs have it; "" when it cannot be one, or the host is not known."""
    host = str(error).partition(" ")[2].rpartition(":")[0]
    if not (_HOST.fullmatch(host) and 0 < error.port < 65_536):
        return ""
    return f"[{host}]:{error.port}" if ":" in host else f"{host}:{error.port}"


def describe(error: BaseException) -> str:
    """One line for a message; our own deadline has no text of its own."""
    if isinstance(error, redis_errors.AskError):
        return _describe_slot(error)
    cause = error.__context__
    if isinstance(cause, ssl.SSLError):
        return str(cause)
    if isinstance(error, redis_errors.ConnectionError) and isinstance(cause, OSError) and cause.errno:
        return os.strerror(cause.errno)  # redis-py names the address again, twice
    return str(error).partition("\n")[0] or type(error).__name__


def _describe_slot(error: redis_errors.AskError) -> str:
    """What a node of a cluster says about a slot that it does not have, or is just giving away."""
    where = address_of(error) or "another node"
    if isinstance(error, redis_errors.MovedError):
        return f"{where} of the cluster has slot {error.slot_id} (MOVED)"
    return f"slot {error.slot_id} is being moved to {where} (ASK)"
