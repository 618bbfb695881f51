"""Enqueue many jobs: a hundred per call, with one account of what is in and what is not."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aqueue._redis import operations
from aqueue._redis.client import Client
from aqueue._redis.coalescer import Answer, Begun, batches, own_error
from aqueue._redis.faults import PATIENCE
from aqueue._redis.operations import NewJob, Operation, Stored
from aqueue.connection import Namespace
from aqueue.errors import BatchError, DuplicateJobError, EnqueueUncertain, NotReplicated
from aqueue.jobs import Job

#: Calls on their way at the same time: Redis need not wait for the next one, nor others for all of them.
IN_FLIGHT = 3
#: The answer for jobs that are in the queue, though nobody has confirmed that they are safe there.
_STORED: Answer = (0, "queued")


@dataclass(frozen=True, slots=True)
class EnqueueData:
    """One job of `enqueue_many`; made by `Queue.prepare_data`."""

    func: Callable[..., Any] | str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


async def enqueue_batches(
    space: Namespace, queue: str, jobs: Sequence[Job[Any]], new: Sequence[NewJob]
) -> None:
    """Send the jobs and let each take over its answer. A call per 100; while Redis stores some, others leave.

    Raises:
        BatchError: With `enqueued` and `not_enqueued`. After a lost reply, the jobs of that call and those
            not sent yet count as not enqueued; `retry` sends all again and doubles none. What is not
            confirmed as it should be is enqueued nevertheless.
    """
    parts = list(_batches(new))
    outcomes = await _send(space.client, [operations.enqueue(space.keys, queue, part) for part in parts])
    answers: list[Answer | None] = []
    errors: list[Exception] = []
    for part, outcome in zip(parts, outcomes, strict=False):
        if isinstance(outcome, Exception):
            errors.append(own_error(outcome, part[0].id))
            answers += [_STORED if isinstance(errors[-1], NotReplicated) else None] * len(part)
        else:
            answers += [(outcome.at_ms, word) for word in outcome.words]
    if errors:
        worst = next((error for error in errors if isinstance(error, EnqueueUncertain)), errors[0])
        if isinstance(worst, EnqueueUncertain):
            worst._again = functools.partial(_again, space, queue, jobs, new)
        raise _account(worst, answers, new) from worst.__cause__
    _take_over(queue, jobs, new, answers)


def _take_over(
    queue: str, jobs: Sequence[Job[Any]], new: Sequence[NewJob], answers: Sequence[Answer | None]
) -> None:
    duplicate: DuplicateJobError | None = None
    for job, (at_ms, word) in zip(jobs, filter(None, answers), strict=True):
        try:
            job._stored(queue, at_ms, word)
        except DuplicateJobError as error:
            duplicate = duplicate or error
    if duplicate is not None:
        raise _account(duplicate, answers, new)


async def _send(client: Client, calls: Sequence[Operation[Stored]]) -> list[Stored | Exception]:
    """What becomes of each call, in order. After one that fails no other is begun."""
    begun: list[Begun | None] = []
    outcomes: list[Stored | Exception] = []
    patience = PATIENCE
    try:
        for at, call in enumerate(calls):
            if patience:
                most = min(len(calls), at + IN_FLIGHT)
                while len(begun) < most and all(map(_goes_smoothly, begun[at:])):
                    begun.append(client.begin(calls[len(begun)]))
            elif at == len(begun) or begun[at] is None:
                break
            try:
                stored = await client.run(call, patience=patience, begun=begun[at])
            except Exception as error:
                outcomes.append(error)
                patience = 0.0
            else:
                outcomes.append(stored)
    finally:
        for answer in filter(None, begun[len(outcomes) :]):
            answer.cancel()
    return outcomes


def _goes_smoothly(begun: Begun | None) -> bool:
    """Whether a call that is begun now comes behind this one: what fails is sent again later."""
    return begun is not None and not (begun.done() and begun.exception() is not None)


def _batches(new: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    """In calls, each of one durability."""
    for _, alike in itertools.groupby(new, key=operator.attrgetter("durability")):
        yield from batches(list(alike), size=operator.attrgetter("size"))


async def _again(
    space: Namespace, queue: str, jobs: Sequence[Job[Any]], new: Sequence[NewJob]
) -> list[Job[Any]]:
    await enqueue_batches(space, queue, jobs, new)
    return list(jobs)


def _account(error: Exception, answers: Sequence[Answer | None], new: Sequence[NewJob]) -> Exception:
    if isinstance(error, BatchError):
        within = [answer is not None and not answer[1].startswith("duplicate") for answer in answers]
        within += [False] * (len(new) - len(answers))
        error.enqueued = [job.id for job, is_in in zip(new, within, strict=True) if is_in]
        error.not_enqueued = [job.id for job, is_in in zip(new, within, strict=True) if not is_in]
    return error
