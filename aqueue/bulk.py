"""Cancel, stop and delete jobs by their ids, many at a time, with a word for each.

The words are "ok", "asked" (of the worker that runs it), "missing", or the status that forbids it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aqueue._core.names import check_job_id, new_nonce
from aqueue._core.status import JobStatus
from aqueue._redis import operations
from aqueue._redis.operations import BULK
from aqueue.connection import Connection, Namespace, open_namespace
from aqueue.errors import InvalidJobOperation, NoSuchJobError

#: Calls at the same time, where each job needs its own.
_AT_ONCE = 50


async def cancel_jobs(
    ids: Sequence[str], connection: Connection | None = None, *, namespace: str | None = None
) -> dict[str, str]:
    """Cancel jobs, as `Job.cancel` does each: "ok", or "asked" for those that run.

    Raises:
        SettingsError: Something that can be no id; nothing was done.
        QueueUnavailable: Redis did not answer; some may be done.
    """
    return await _end("cancel", ids, connection, namespace)


async def stop_jobs(
    ids: Sequence[str], connection: Connection | None = None, *, namespace: str | None = None
) -> dict[str, str]:
    """Ask the workers of running jobs to end them, as `Job.stop` does each: "asked".

    Raises:
        SettingsError: Something that can be no id; nothing was done.
        QueueUnavailable: Redis did not answer; some may be done.
    """
    return await _end("stop", ids, connection, namespace)


async def delete_jobs(
    ids: Sequence[str], connection: Connection | None = None, *, namespace: str | None = None
) -> dict[str, str]:
    """Remove jobs with their results, as `Job.delete` does each: "ok". One round trip per 500.

    Raises:
        SettingsError: Something that can be no id; nothing was done.
        QueueUnavailable: Redis did not answer; some may be done.
    """
    space = open_namespace(connection, namespace=namespace)
    distinct = _distinct(ids)
    words: dict[str, str] = {}
    for start in range(0, len(distinct), BULK):
        batch = distinct[start : start + BULK]
        answers = await space.client.run(operations.delete(space.keys, batch, nonce=new_nonce()))
        words |= zip(batch, answers, strict=True)
    return words


async def _end(
    mode: str, ids: Sequence[str], connection: Connection | None, namespace: str | None
) -> dict[str, str]:
    space = open_namespace(connection, namespace=namespace)
    distinct = _distinct(ids)
    words: dict[str, str] = {}
    for start in range(0, len(distinct), _AT_ONCE):
        batch = distinct[start : start + _AT_ONCE]
        answers = await asyncio.gather(*(_end_one(space, mode, job_id) for job_id in batch))
        words |= zip(batch, answers, strict=True)
    return words


async def _end_one(space: Namespace, mode: str, job_id: str) -> str:
    try:
        status = await space.client.run(operations.cancel(space.keys, job_id, nonce=new_nonce(), mode=mode))
    except NoSuchJobError:
        return "missing"
    except InvalidJobOperation as error:
        return error.status
    return "asked" if status == JobStatus.STARTED else "ok"


def _distinct(ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(map(check_job_id, ids)))
