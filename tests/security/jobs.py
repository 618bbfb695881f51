"""Jobs of the signing tests."""

from __future__ import annotations

from typing import Any

from aqueue import get_current_job, sync


def echo(value: Any) -> Any:
    return value


def forged(value: Any) -> Any:
    raise AssertionError(f"ran although its signature did not fit: {value}")


def own_job() -> Any:
    return get_current_job()


def fail(value: Any) -> Any:
    raise ValueError(value)


async def count_runs() -> int:
    job = get_current_job()
    assert job is not None
    job.meta["runs"] = job.meta.get("runs", 0) + 1
    await job.save_meta()
    return int(job.meta["runs"])


def count_runs_in_a_thread() -> int:
    job = sync.get_current_job()
    assert job is not None
    job.meta["runs"] = job.meta.get("runs", 0) + 1
    job.save_meta()
    return int(job.meta["runs"])


def unwritable() -> object:
    return object()
