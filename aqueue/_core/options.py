"""What users may set on a job, checked once, when it is made.

Values are kept as Redis holds them: milliseconds and small integers. Nothing here knows
functions or their arguments; see `payload`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict, cast, get_args

from aqueue._core.clock import LONGEST_MS, Duration, to_ms, to_seconds
from aqueue._core.durability import check_durability
from aqueue._core.names import _shown, check_integer
from aqueue.errors import SettingsError

#: Kept for ever, or no limit, in milliseconds' place.
UNLIMITED = -1

DEFAULT_TIMEOUT_MS = 180_000
DEFAULT_RESULT_TTL_MS = 500_000
DEFAULT_FAILURE_TTL_MS = 31_536_000_000
#: How long canceled and expired jobs are kept without a failure_ttl, and saved jobs that nobody enqueues.
DAY_MS = 86_400_000
#: How many times a job may lose its worker before it fails as abandoned.
DEFAULT_MAX_LOST = 3
#: The largest job, arguments and meta together, in bytes.
DEFAULT_MAX_JOB_BYTES = 1_048_576
#: What Redis itself takes in one value (proto-max-bulk-len).
LARGEST_JOB_BYTES = 512 * 1_048_576

#: Where a job's code runs, in place of the default: coroutine functions as tasks, others in threads.
Executor: TypeAlias = Literal["process", "thread"]
EXECUTORS: tuple[str, ...] = get_args(Executor)

MAX_PRIORITY = 100
_MAX_RETRIES = 1_000_000
_MAX_INTERVALS = 1_000
_MAX_DESCRIPTION = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """How often and when a failed job runs again. Stopped and canceled jobs never do.

    Attributes:
        max: How many times it may run again after its first failure.
        interval: The wait before each retry; a shorter list repeats its last entry.
        backoff: Each wait is this many times the one before; 1 keeps them equal.
        jitter: Each wait is varied at random by up to this share of itself, 0 to 1.
        on: Retry only on these exceptions: classes, or the names of their classes.
        not_on: Never retry on these.
        max_interval: No wait is longer; by default a day, or the longest interval if that is more.
    """

    max: int
    interval: Duration | Sequence[Duration] = 0
    backoff: float = 1.0
    jitter: float = 0.0
    on: tuple[type[BaseException] | str, ...] = ()
    not_on: tuple[type[BaseException] | str, ...] = ()
    max_interval: Duration | None = None
    _waits: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_integer(self.max, "Retry(max)", 1, _MAX_RETRIES)
        waits = _waits(self.interval)
        longest = (
            max(DAY_MS, *waits) if self.max_interval is None else to_ms(self.max_interval, "max_interval")
        )
        object.__setattr__(self, "_waits", waits)
        object.__setattr__(self, "_longest", longest)
        _check_range(self.backoff, "Retry(backoff)", 1, 1000)
        _check_range(self.jitter, "Retry(jitter)", 0, 1)
        for name in ("on", "not_on"):
            object.__setattr__(self, name, _exception_names(getattr(self, name), name))

    def encode(self) -> str:
        """The policy as the record keeps it: JSON with milliseconds."""
        policy: dict[str, Any] = {"max": self.max, "waits": self._waits}
        if self.backoff != 1 or self.jitter:
            policy |= {"backoff": self.backoff, "jitter": self.jitter}
        policy["longest"] = self._longest
        if self.on:
            policy["on"] = self.on
        if self.not_on:
            policy["not_on"] = self.not_on
        return json.dumps(policy, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A `Retry` read back from a record."""

    #: How many retries in all.
    max: int = 0
    #: Waits in milliseconds; the last one repeats.
    waits: tuple[int, ...] = (0,)
    backoff: float = 1.0
    jitter: float = 0.0
    #: No wait is longer, milliseconds.
    longest: int = DAY_MS
    on: tuple[str, ...] = ()
    not_on: tuple[str, ...] = ()

    @classmethod
    def decode(cls, text: bytes) -> RetryPolicy:
        """Read `Retry.encode`'s text; the wait lists come back as tuples."""
        if len(text) > DEFAULT_MAX_JOB_BYTES:
            raise ValueError("a retry policy that is longer than any of ours")
        known: dict[str, Any] = json.loads(text)
        policy = {
            name: value for name, value in known.items() if name in cls.__slots__
        }  # a newer one has more
        for name in policy.keys() & {"waits", "on", "not_on"}:
            policy[name] = tuple(policy[name])
        return cls(**policy)

    def delay_ms(self, failures: int) -> int:
        """The wait before the retry that follows the n-th failure, n >= 1."""
        wait = float(self.waits[min(failures, len(self.waits)) - 1])
        if self.backoff != 1 and wait:
            try:
                wait = min(wait * float(self.backoff) ** (failures - 1), self.longest)
            except OverflowError:
                wait = self.longest
        if self.jitter:
            wait *= 1 + self.jitter * random.uniform(-1, 1)
        return round(max(0, min(wait, self.longest, LONGEST_MS)))  # whatever others wrote into the record

    def covers(self, error: type[BaseException] | Collection[str]) -> bool:
        """Whether this exception may be retried: a class, or the names of one from another process."""
        names = class_names(error) if isinstance(error, type) else set(error)
        if names.intersection(self.not_on):
            return False
        return not self.on or bool(names.intersection(self.on))


def _waits(interval: object) -> tuple[int, ...]:
    """One wait or a list of them, in milliseconds."""
    if isinstance(interval, int | float | str | timedelta) or not isinstance(interval, Iterable):
        return (to_ms(cast(Duration, interval), "interval", zero=True),)
    waits = list(cast(Iterable[Duration], interval))
    if not 1 <= len(waits) <= _MAX_INTERVALS:
        raise SettingsError(f"Retry(interval=[...]) must have 1 to {_MAX_INTERVALS:,} entries")
    return tuple(to_ms(wait, "interval", zero=True) for wait in waits)


def _check_range(value: object, name: str, least: int, most: int) -> None:
    if not isinstance(value, int | float) or not least <= value <= most:
        raise SettingsError(f"{name}={_shown(value)} must be a number from {least:,} to {most:,}")


def _exception_names(kinds: object, name: str) -> tuple[str, ...]:
    """Classes and class names, as names: a policy is stored as text and read by another program."""
    listed = cast(list[object], list(kinds) if isinstance(kinds, tuple | list | set | frozenset) else [kinds])  # pyright: ignore[reportUnknownArgumentType]
    names: list[str] = []
    for kind in listed:
        if isinstance(kind, type) and issubclass(kind, BaseException):
            names.append(_path(kind))
        elif isinstance(kind, str) and kind:
            names.append(kind)
        else:
            raise SettingsError(f"Retry({name}=...) takes exception classes or their names, not {kind!r}")
    return tuple(names)


def class_names(error: type[BaseException]) -> set[str]:
    """The names by which a policy may know an exception: of its class and those above, long and short."""
    return {name for kind in error.__mro__ for name in (kind.__name__, _path(kind))}


def _path(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class JobDefaults(TypedDict, total=False):
    """The options that several jobs may share; see `JobOptions` for what each does."""

    job_timeout: Duration | None
    result_ttl: Duration | None
    ttl: Duration | None
    failure_ttl: Duration | None
    description: str | None
    at_front: bool
    meta: Mapping[str, Any] | None
    retry: Retry | int | None
    priority: int
    executor: Executor | None
    durability: str | None


class EnqueueOptions(JobDefaults, total=False):
    """The options of `Queue.enqueue` and its like."""

    job_id: str | None


OPTION_NAMES = frozenset(EnqueueOptions.__annotations__)


def check_known(given: Iterable[str]) -> None:
    """Raise SettingsError for names that are no options."""
    unknown = set(given) - OPTION_NAMES
    if unknown:
        known = ", ".join(sorted(OPTION_NAMES))
        raise SettingsError(f"unknown option {', '.join(sorted(unknown))}: there are {known}")


@dataclass(frozen=True, slots=True)
class JobOptions:
    """A job's options, checked; milliseconds, None where the default holds."""

    #: May run this long; UNLIMITED: no limit.
    timeout: int | None = None
    #: Result and record are kept this long after it finished; 0: not at all, UNLIMITED: for ever.
    result_ttl: int | None = None
    #: It expires when no worker has started it this long after it was queued.
    ttl: int | None = None
    #: The record is kept this long after it failed; UNLIMITED: for ever.
    failure_ttl: int | None = None
    description: str | None = None
    at_front: bool = False
    #: -100 to 100, higher first.
    priority: int = 0
    retry: str | None = None
    #: Where it runs; None: as the queue or the worker says.
    executor: str | None = None
    #: What the enqueue waits for, no part of the record; None: as the queue says.
    durability: str | None = None

    def fields(self) -> dict[bytes, bytes]:
        """As the record holds them: those that differ from their default."""
        stored = {
            "timeout": self.timeout, "result_ttl": self.result_ttl, "ttl": self.ttl,
            "failure_ttl": self.failure_ttl, "priority": self.priority or None,
            "description": self.description, "retry": self.retry, "executor": self.executor,
        }  # fmt: skip
        return {
            name.encode(): str(value).encode("utf-8", "replace")
            for name, value in stored.items()
            if value is not None
        }


def check_options(given: Mapping[str, Any], default_timeout: int | None = None) -> JobOptions:
    """Options as users give them, checked.

    Args:
        given: Some of `EnqueueOptions`; others are not looked at.
        default_timeout: The queue's own job timeout in milliseconds.

    Raises:
        SettingsError: A value that cannot be used; the message names it.
    """
    if not given:
        return JobOptions(timeout=default_timeout)
    timeout = _limit(given.get("job_timeout"), "job_timeout")
    description = given.get("description")
    if description is not None and not isinstance(description, str):
        raise SettingsError(f"description must be a string, not {type(description).__name__}")
    at_front = given.get("at_front", False)
    if not isinstance(at_front, bool):
        raise SettingsError(f"at_front={at_front!r} must be True or False")
    return JobOptions(
        timeout=default_timeout if timeout is None else timeout,
        result_ttl=_limit(given.get("result_ttl"), "result_ttl", zero=True),
        ttl=None if given.get("ttl") is None else to_ms(given["ttl"], "ttl"),
        failure_ttl=_limit(given.get("failure_ttl"), "failure_ttl"),
        description=None if description is None else description[:_MAX_DESCRIPTION],
        at_front=at_front,
        priority=check_integer(given.get("priority", 0), "priority", -MAX_PRIORITY, MAX_PRIORITY),
        retry=_retry(given.get("retry")),
        executor=check_executor(given.get("executor")),
        durability=check_durability(given.get("durability")),
    )


def _limit(value: Duration | None, name: str, *, zero: bool = False) -> int | None:
    """Milliseconds; None stays None, and -1 means no limit, as in RQ."""
    if value is None:
        return None
    if value in (-1, "-1"):
        return UNLIMITED
    return to_ms(value, name, zero=zero)


def check_timeout(value: Duration | None) -> int | None:
    """A queue's `default_timeout` in milliseconds; None: 180 s, -1: no limit."""
    return _limit(value, "default_timeout")


def check_executor(value: str | None) -> str | None:
    """Where jobs run; None: where nothing more special is said, by the kind of their function.

    Raises:
        SettingsError: There is no such executor.
    """
    if value is None or value in EXECUTORS:
        return value
    raise SettingsError(f'executor={_shown(value)} must be "process", "thread" or None')


def _retry(value: Retry | int | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Retry | int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"retry={value!r} must be a Retry or a number of retries")
    return (value if isinstance(value, Retry) else Retry(max=value)).encode()


def show_limit(ms: int) -> int | float:
    """A stored limit in the users' unit: seconds, or -1 for none."""
    return UNLIMITED if ms == UNLIMITED else to_seconds(ms)
