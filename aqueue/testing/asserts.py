"""Look at what was enqueued, and say well what is there instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aqueue._core.clock import Duration, to_ms
from aqueue._core.functions import describe_call, split_call
from aqueue._core.options import OPTION_NAMES, check_options
from aqueue._core.record import JobRecord
from aqueue._core.status import REGISTRY_OF, JobStatus
from aqueue.draft import check_arguments
from aqueue.errors import PayloadError, SettingsError
from aqueue.jobs import Job, fetch_jobs
from aqueue.queue import Queue
from aqueue.registry import list_ids

#: Every registry of a queue: what was enqueued lies in one of them until it is removed.
_REGISTRIES = tuple(dict.fromkeys(REGISTRY_OF.values()))
#: Seconds between two looks: nobody tells of an enqueue.
_LOOK = 0.01
#: Jobs that a message names.
_SHOWN = 20
#: Options that leave no trace in a job.
_TRACELESS = frozenset({"at_front", "durability"})


async def assert_enqueued(
    queue: Queue,
    func: Callable[..., Any] | str,
    args: Iterable[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    within: Duration | None = None,
    **options: Any,
) -> Job[Any]:
    """Fail unless such a job was enqueued in this queue; return the first that was.

    Jobs of every status count, also those that a worker has run already; only what was deleted, or finished
    with `result_ttl=0`, cannot be seen any more.

    Args:
        func: The function, or its import path.
        args: All its positional arguments; a lone string is one. None: any.
        kwargs: Some of its keyword arguments.
        within: Wait so long for it.
        options: Options of the enqueue (`job_timeout="3m"`, `priority=5`, ...; of `meta` some of it), or a
            `status`.

    Raises:
        AssertionError: There is none; the message lists those that are there.
        SettingsError: A function or an option that cannot be used.
    """
    __tracebackhide__ = True
    wanted = _Wanted(func, args, kwargs, options)
    jobs, found = await _look(queue, wanted, within)
    if not found:
        waited = "" if within is None else f" within {to_ms(within, 'within') / 1000:g} s"
        raise AssertionError(f"no job {wanted} was enqueued in queue {queue.name!r}{waited}; {_listed(jobs)}")
    return found[0]


async def refute_enqueued(
    queue: Queue,
    func: Callable[..., Any] | str,
    args: Iterable[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    within: Duration | None = None,
    **options: Any,
) -> None:
    """Fail if such a job was enqueued in this queue; see `assert_enqueued`.

    Args:
        within: Go on looking for so long.

    Raises:
        AssertionError: There is one, or more.
        SettingsError: A function or an option that cannot be used.
    """
    __tracebackhide__ = True
    wanted = _Wanted(func, args, kwargs, options)
    jobs, found = await _look(queue, wanted, within)
    if found:
        raise AssertionError(f"a job {wanted} was enqueued in queue {queue.name!r}; {_listed(jobs)}")


async def _look(
    queue: Queue, wanted: _Wanted, within: Duration | None
) -> tuple[list[Job[Any]], list[Job[Any]]]:
    """All jobs of the queue and those that are wanted, as soon as there is one, or after `within`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (0 if within is None else to_ms(within, "within") / 1000)
    while True:
        jobs = await _jobs_of(queue)
        found = [job for job in jobs if wanted.is_met_by(job)]
        if found or loop.time() >= deadline:
            return jobs, found
        await asyncio.sleep(_LOOK)


async def _jobs_of(queue: Queue) -> list[Job[Any]]:
    """Every job that is known of the queue, in the order in which they were made."""
    ids: dict[str, None] = {}  # a job that moves while we look may be in two lists
    for registry in _REGISTRIES:
        ids |= dict.fromkeys(await list_ids(queue.space, registry, queue.name))
    found = await fetch_jobs(queue.space, list(ids))
    return sorted((job for job in found if job is not None), key=lambda job: job._record.created_at or 0)


class _Wanted:
    """What a job must be like."""

    def __init__(
        self,
        func: Callable[..., Any] | str,
        args: Iterable[Any] | None,
        kwargs: Mapping[str, Any] | None,
        options: Mapping[str, Any],
    ) -> None:
        given, named = check_arguments(() if args is None else args, kwargs)
        self._path, whole = split_call(func, given)  # a method's instance is its first argument
        self._args = None if args is None else whole
        self._kwargs = named
        self._options = dict(options)
        self._checks = _checks(options)

    def __str__(self) -> str:
        shown = describe_call(self._path, ("...",) if self._args is None else self._args, self._kwargs)
        shown = shown.replace("'...'", "...", 1) if self._args is None else shown
        options = ", ".join(f"{name}={value!r}" for name, value in self._options.items())
        return f"{shown} with {options}" if options else shown

    def is_met_by(self, job: Job[Any]) -> bool:
        if job.func_name != self._path or not all(check(job) for check in self._checks):
            return False
        if self._args is None and not self._kwargs:
            return True
        try:
            args, kwargs = job.args, job.kwargs
        except PayloadError:
            return False
        return (self._args is None or args == self._args) and _has(kwargs, self._kwargs)


def _has(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in found and found[name] == value for name, value in wanted.items())


def _checks(options: Mapping[str, Any]) -> list[Callable[[Job[Any]], bool]]:
    """One for each option."""
    known = (OPTION_NAMES - _TRACELESS) | {"status"}
    unknown = set(options) - known
    if unknown:
        raise SettingsError(
            f"cannot look for {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}"
        )
    return [_check(name, options) for name in options]


def _check(name: str, options: Mapping[str, Any]) -> Callable[[Job[Any]], bool]:
    value = options[name]
    match name:
        case "status":
            if value not in set(JobStatus):
                raise SettingsError(f"status={value!r} is none of {', '.join(JobStatus)}")
            return lambda job: job.status == value
        case "job_id":
            return lambda job: job.id == value
        case "meta":
            return lambda job: _has(job.meta, value or {})
        case _:
            field = "timeout" if name == "job_timeout" else name
            stored = getattr(check_options({name: value}), field)
            like = getattr(JobRecord("", {}).evolve(**{field: stored}), field)
            return lambda job: getattr(job._record, field) == like


def _listed(jobs: list[Job[Any]]) -> str:
    """The jobs that are there, one a line."""
    if not jobs:
        return "it has no jobs"
    lines = [f"  {job.status:<9} {_call(job)}" for job in jobs[:_SHOWN]]
    if len(jobs) > _SHOWN:
        lines.append(f"  and {len(jobs) - _SHOWN:,} more")
    return "\n".join(["it has:", *lines])


def _call(job: Job[Any]) -> str:
    try:
        return describe_call(job.func_name, job.args, job.kwargs)
    except PayloadError:
        return f"{job.func_name}(...)"
