"""Enqueue many jobs: a hundred per call, with one account of what is in and what is not."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aqueue._redis import operations
from aqueue._redis.coalescer import Answer, batches, own_error
from aqueue._redis.operations import NewJob
from aqueue.connection import Namespace
from aqueue.errors import BatchError, DuplicateJobError, EnqueueUncertain
from aqueue.jobs import Job


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
    """Send the jobs and let each take over its answer. One round trip per 100.

    Raises:
        BatchError: With `enqueued` and `not_enqueued`. After a lost reply, the jobs of that call and those
            after it count as not enqueued; `retry` sends all again and doubles none.
    """
    answers: list[Answer] = []
    for batch in _batches(new):
        try:
            stored = await space.client.run(operations.enqueue(space.keys, queue, batch))
        except Exception as error:
            own = own_error(error, batch[0].id)
            if isinstance(own, EnqueueUncertain):
                own._again = functools.partial(_again, space, queue, jobs, new)
            raise _account(own, answers, new) from error
        answers += [(stored.at_ms, word) for word in stored.words]
    duplicate: DuplicateJobError | None = None
    for job, (at_ms, word) in zip(jobs, answers, strict=True):
        try:
            job._stored(queue, at_ms, word)
        except DuplicateJobError as error:
            duplicate = duplicate or error
    if duplicate is not None:
        raise _account(duplicate, answers, new)


def _batches(new: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    """In calls, each of one durability."""
    for _, alike in itertools.groupby(new, key=operator.attrgetter("durability")):
        yield from batches(list(alike), size=operator.attrgetter("size"))


async def _again(
    space: Namespace, queue: str, jobs: Sequence[Job[Any]], new: Sequence[NewJob]
) -> list[Job[Any]]:
    await enqueue_batches(space, queue, jobs, new)
    return list(jobs)


def _account(error: Exception, answers: Sequence[Answer], new: Sequence[NewJob]) -> Exception:
    if isinstance(error, BatchError):
        within = [not word.startswith("duplicate") for _, word in answers]
        within += [False] * (len(new) - len(answers))
        error.enqueued = [job.id for job, is_in in zip(new, within, strict=True) if is_in]
        error.not_enqueued = [job.id for job, is_in in zip(new, within, strict=True) if not is_in]
    return error
