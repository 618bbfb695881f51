"""`aqueue enqueue`: put a call of a function into a queue, and wait for its end if asked to."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from aqueue._core.clock import to_ms
from aqueue._core.functions import UnknownFunction, check_path, find_function
from aqueue._core.names import check_job_id
from aqueue._core.options import Retry
from aqueue.cli.arguments import parse_arguments
from aqueue.cli.ending import FAILED, OK, UNREACHABLE, complain
from aqueue.cli.enqueue_options import EnqueueOptions
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.output import say, say_json
from aqueue.cli.text import printable
from aqueue.cli.worker import put_first
from aqueue.errors import EnqueueUncertain, JobCanceled, JobError, JobExpired, JobFailed, SettingsError
from aqueue.jobs import Job
from aqueue.queue import Queue

Send = Callable[[], Awaitable[Job[Any]]]


async def enqueue(options: EnqueueOptions) -> int:
    """Enqueue, print the job's id and perhaps its result; the exit code."""
    if options.depends_on:
        raise SettingsError("--depends-on is not supported yet: enqueue this one when the others have ended")
    if options.paths:
        put_first(options.paths)
        _check_function(options.function)
    send = _prepare(options)
    with logging_to_stderr():
        await options.target.check()
        try:
            job = await send()
        except EnqueueUncertain as error:
            again = f"look with `aqueue show {error.job_id}`, or repeat it with --job-id {error.job_id}"
            complain(f"{_cause(error)}; {again}")
            return UNREACHABLE
        if not options.as_json:
            say(job.id)
        if options.wait:
            return await _wait(job, as_json=options.as_json)
        if options.as_json:
            say_json(_facts(job))
    return OK


def _cause(error: EnqueueUncertain) -> str:
    """The error's message without what a program would do about it."""
    return str(error).partition(": `")[0]


def _check_function(path: str) -> None:
    """Import it, as a worker would.

    Raises:
        SettingsError: It is not there, or its module cannot be imported.
    """
    try:
        find_function(path)
    except UnknownFunction:
        raise SettingsError(f"there is no function {path} in the folders of --path") from None
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"importing {path} raised {type(error).__name__}: {error}") from error


def _prepare(options: EnqueueOptions) -> Send:
    """What is to be sent, checked as far as it can be without Redis."""
    function = check_path(options.function)
    args, kwargs = parse_arguments(options.arguments)
    if options.job_id is not None:
        check_job_id(options.job_id)
    queue = Queue(
        options.queue,
        options.target.url,
        namespace=options.target.namespace,
        serializer=options.serializer,
        trust_redis=options.trust_redis or None,
    )
    queue.space.codec.check_trust()
    bound = queue.options(**options.job, job_id=options.job_id, retry=_retry(options))
    if options.delay is not None and options.when is not None:
        raise SettingsError("give --in or --at, not both")
    if options.delay is not None:
        delay = to_ms(options.delay, "--in") / 1000
        return lambda: bound.enqueue_in(delay, function, *args, **kwargs)
    if options.when is not None:
        when = _instant(options.when)
        return lambda: bound.enqueue_at(when, function, *args, **kwargs)
    return lambda: bound.enqueue(function, *args, **kwargs)


def _retry(options: EnqueueOptions) -> Retry | None:
    if options.retry_max:
        return Retry(max=options.retry_max, interval=list(options.retry_intervals) or 0)
    if options.retry_intervals:
        raise SettingsError("--retry-interval says when to retry: say with --retry-max how often")
    return None


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"--at {text!r} is not a date and time like 2026-12-01T09:00 or 2026-12-01T09:00+01:00"
        ) from None


def _facts(job: Job[Any]) -> dict[str, Any]:
    return {"id": job.id, "queue": job.origin, "function": job.func_name, "status": str(job.status)}


async def _wait(job: Job[Any], *, as_json: bool) -> int:
    """Wait for its end and tell of it; the exit code."""
    result, failure = None, None
    try:
        result = await job.wait()
    except (JobFailed, JobCanceled, JobExpired) as error:
        failure = error
    if as_json:
        say_json({**_facts(job), "result": _jsonable(result), "error": failure and _error(failure)})
    elif failure is None:
        say(printable(repr(result)))
    if failure is None:
        return OK
    complain(str(failure))
    return FAILED


def _error(error: JobError) -> dict[str, str]:
    if isinstance(error, JobFailed):
        return {"type": error.type, "message": error.message}
    return {"type": type(error).__name__, "message": str(error)}


def _jsonable(value: Any) -> Any:
    """The value if JSON can say it, else its `repr`, also of what lies within it."""
    try:
        return json.loads(json.dumps(value, default=repr, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return repr(value)
