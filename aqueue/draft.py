"""Make the record of a new job: checks everything that can be checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aqueue._core.codec import Codec
from aqueue._core.functions import is_coroutine_function, split_call
from aqueue._core.names import check_job_id, new_job_id, new_nonce
from aqueue._core.options import OPTION_NAMES, JobOptions
from aqueue._core.record import JobRecord
from aqueue._redis.operations import NewJob
from aqueue.errors import PayloadError, SettingsError

#: Options of RQ's enqueue that change what a job means, and that aqueue does not have yet.
RQ_OPTIONS = frozenset({"depends_on", "on_success", "on_failure", "on_stopped", "repeat", "webhooks"})

#: What the enqueue script itself writes, or `new_job` anew.
_SET_BY_REDIS = frozenset(
    {b"status", b"queue", b"nonce", b"created_at", b"enqueued_at", b"incarnation", b"fence", b"sig"}
)


def draft(
    codec: Codec,
    func: Callable[..., Any] | str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: JobOptions,
    *,
    job_id: str | None = None,
    meta: Mapping[str, Any] | None = None,
) -> JobRecord:
    """The record of a job that is not stored yet.

    Raises:
        SettingsError: An id or a function that cannot be used.
        PayloadError: Arguments or meta that cannot be encoded.
    """
    path, args = split_call(func, args)
    job_id = new_job_id() if job_id is None else check_job_id(job_id)
    if options.executor == "thread" and not isinstance(func, str) and is_coroutine_function(func):
        raise SettingsError(
            f'executor="thread" cannot run {path}, a coroutine function: leave it out for a task of the '
            'event loop, or use executor="process"'
        )
    fields = {b"function": path.encode(), b"data": codec.encode_call(path, args, kwargs)}
    if meta:
        fields[b"meta"] = codec.encode_meta(job_id, path, meta)
    for name in ("timeout", "result_ttl", "ttl", "failure_ttl"):
        value = getattr(options, name)
        if value is not None:
            fields[name.encode()] = b"%d" % value
    if options.priority:
        fields[b"priority"] = b"%d" % options.priority
    if options.description is not None:
        fields[b"description"] = options.description.encode("utf-8", "replace")
    if options.retry is not None:
        fields[b"retry"] = options.retry.encode()
    if options.executor is not None:
        fields[b"executor"] = options.executor.encode()
    return JobRecord(job_id, fields, is_trusted=True)


def check_arguments(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `args=` and `kwargs=` take, as a call needs it; a lone string is one argument.

    Raises:
        SettingsError: No list of arguments, or no dictionary with names as keys.
    """
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


def new_job(
    record: JobRecord,
    queue: str,
    codec: Codec,
    *,
    mode: str = "",
    delay_ms: int = 0,
    is_new_id: bool = False,
) -> NewJob:
    """The record on its way into a queue, signed if there is a key.

    Args:
        is_new_id: The id was made for this very call, and so tells a repeated one without a nonce.

    Raises:
        PayloadError: It is over the size limit.
    """
    nonce = "" if is_new_id else new_nonce()
    fields = [part for pair in record.fields.items() if pair[0] not in _SET_BY_REDIS for part in pair]
    signature = codec.seal.sign(record, queue=queue, nonce=nonce or None)
    if signature is not None:
        fields += (b"sig", signature)
    size = sum(map(len, fields))
    if size > codec.max_bytes:
        raise PayloadError(
            f"job {record.id!r} ({record.function}) has {size:,} bytes, more than the {codec.max_bytes:,} "
            "allowed: store large data elsewhere and pass where it is, or raise Queue(max_job_bytes=...)"
        )
    return NewJob(record.id, nonce, fields, mode, record.priority, delay_ms, record.ttl, size)


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
