"""Make the record of a new job: checks everything that can be checked before anything is sent."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from aqueue._core.codec import Codec
from aqueue._core.decorated import Decorated
from aqueue._core.durability import LOCAL
from aqueue._core.functions import is_coroutine_function, split_call
from aqueue._core.names import check_job_id, new_job_id
from aqueue._core.options import OPTION_NAMES, JobOptions, check_options
from aqueue._core.record import JobRecord
from aqueue._redis.operations import NewJob
from aqueue.errors import PayloadError, SettingsError

#: Options of RQ's enqueue that change what a job means, and that aqueue does not have yet.
RQ_OPTIONS = frozenset({"depends_on", "on_success", "on_failure", "on_stopped", "repeat", "webhooks"})

#: What the enqueue script writes itself, or `new_job` anew.
_SET_BY_REDIS = frozenset(
    {b"status", b"queue", b"nonce", b"created_at", b"enqueued_at", b"incarnation", b"fence", b"sig"}
)


class Pattern:
    """What jobs of one function with the same options have in common: checked and encoded once."""

    __slots__ = ("_fields", "_first", "durability", "mode", "path")

    def __init__(
        self, func: Callable[..., Any] | str, options: JobOptions, executor: str | None = None
    ) -> None:
        """Check the function.

        Args:
            executor: The queue's own, for jobs without one.

        Raises:
            SettingsError: A worker could not import it, or it cannot run as the options say.
        """
        path, first = split_call(func, ())
        self.path: str = path
        self._first: tuple[Any, ...] = first
        if options.executor == "thread" and not isinstance(func, str) and is_coroutine_function(func):
            raise SettingsError(
                f'executor="thread" cannot run {self.path}, a coroutine function: leave it out for a task of '
                'the event loop, or use executor="process"'
            )
        self.mode: str = "front" if options.at_front else ""
        self.durability: str | None = options.durability
        self._fields: dict[bytes, bytes] = {b"function": self.path.encode(), **options.fields()}
        if executor is not None:
            self._fields.setdefault(b"executor", executor.encode())

    def draft(
        self,
        codec: Codec,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        job_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """The record of a job that is not stored yet.

        Raises:
            SettingsError: An id that cannot be used.
            PayloadError: Arguments or meta that cannot be encoded.
        """
        job_id = new_job_id() if job_id is None else check_job_id(job_id)
        data = codec.encode_call(self.path, self._first + args, kwargs)
        fields = {**self._fields, b"data": data}
        if meta:
            fields[b"meta"] = codec.encode_meta(job_id, self.path, meta)
        return JobRecord(job_id, fields, is_trusted=True)


def pattern_of(
    func: Callable[..., Any] | str,
    given: Mapping[str, Any],
    default_timeout: int | None,
    executor: str | None,
) -> Pattern:
    """The pattern of jobs with these options, in a queue with this timeout and this executor.

    Raises:
        SettingsError: A function or an option that cannot be used.
    """
    if given or not isinstance(func, _LASTING):
        return Pattern(func, check_options(given, default_timeout), executor)
    return _usual_pattern(func, default_timeout, executor)


#: What is always the same function; a method, say, has its instance as an argument.
_LASTING: Any = (FunctionType, Decorated, str)


@functools.lru_cache(maxsize=1_000)
def _usual_pattern(
    func: Callable[..., Any] | str, default_timeout: int | None, executor: str | None
) -> Pattern:
    """Of jobs without options, as most are: made once, which is a third of what an enqueue costs."""
    return Pattern(func, JobOptions(timeout=default_timeout), executor)


def check_arguments(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `args=` and `kwargs=` take, as a call needs it; a lone string is one argument.

    Raises:
        SettingsError: No list of arguments, or no dictionary with names as keys.
    """
    if args.__class__ is tuple and not kwargs:
        return args, {}  # as most are
    if isinstance(args, str | bytes):
        return check_arguments((args,), kwargs)
    try:
        positional: tuple[Any, ...] = tuple(args)
        named: dict[Any, Any] = dict(kwargs or {})
    except (TypeError, ValueError) as error:
        raise SettingsError(f"args= must be a tuple or list, kwargs= a dictionary: {error}") from None
    if isinstance(args, Mapping) or not all(isinstance(name, str) for name in named):
        raise SettingsError("args= must be a tuple or list, kwargs= a dictionary with names as its keys")
    return positional, named


def as_drafted(record: JobRecord) -> JobRecord:
    """The record of a job that was stored but never enqueued, without what its storing added."""
    fields = {name: value for name, value in record.fields.items() if name not in _SET_BY_REDIS}
    return JobRecord(record.id, fields, record.is_trusted)


def new_job(
    record: JobRecord,
    queue: str,
    codec: Codec,
    *,
    nonce: str,
    mode: str = "",
    delay_ms: int = 0,
    durability: str = LOCAL,
) -> NewJob:
    """A draft on its way into a queue, signed if there is a key.

    Args:
        nonce: "" where the id was made for this very call, and so tells a repeated one.

    Raises:
        PayloadError: It is over the size limit.
    """
    fields = list(itertools.chain.from_iterable(record.fields.items()))
    signature = codec.seal.sign(record, queue=queue, nonce=nonce or None)
    if signature is not None:
        fields += (b"sig", signature)
    size = sum(map(len, fields))
    if size > codec.max_bytes:
        raise PayloadError(
            f"job {record.id!r} ({record.function}) has {size:,} bytes, more than the {codec.max_bytes:,} "
            "allowed: store large data elsewhere and pass where it is, or raise Queue(max_job_bytes=...)"
        )
    priority = record.priority if b"priority" in record.fields else 0
    ttl_ms = record.ttl if b"ttl" in record.fields else None
    return NewJob(record.id, nonce, fields, mode, priority, delay_ms, ttl_ms, size, durability)


def split_options(
    func: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any] | str, tuple[Any, ...], Mapping[str, Any], Mapping[str, Any]]:
    """The function's arguments and the options, as RQ tells them apart.

    Raises:
        SettingsError: Arguments given twice, or an option of RQ that would silently go to the function.
    """
    if not kwargs:
        return func, args, kwargs, kwargs
    foreign = sorted(RQ_OPTIONS.intersection(kwargs))
    if foreign:
        raise SettingsError(
            f"RQ's option {', '.join(foreign)} is not supported yet; if it is the function's own argument, "
            "use queue.options().enqueue(...)"
        )
    options = {name: kwargs.pop(name) for name in OPTION_NAMES.intersection(kwargs)}
    if "args" in kwargs or "kwargs" in kwargs:
        if args or kwargs.keys() - {"args", "kwargs"}:
            raise SettingsError("give the function's arguments either as args= and kwargs=, or directly")
        return func, *check_arguments(kwargs.get("args", ()), kwargs.get("kwargs")), options
    return func, args, kwargs, options
