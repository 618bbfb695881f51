"""I7: whoever waits for a job is told of its end, and soon."""

from __future__ import annotations

import asyncio
from typing import Any

from aqueue import Job, JobCanceled, JobExpired, JobFailed

#: Seconds after the end of all jobs until the last waiter knows: a re-read, and the machine's own delay.
SOON = 6.0


class Waits:
    """The waiters of a scenario, as tasks."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[str]] = {}

    def add(self, job: Job[Any]) -> None:
        self._tasks[job.id] = asyncio.create_task(_wait(job))

    async def check(self) -> int:
        """How many there were; all jobs have ended.

        Raises:
            AssertionError: One waits on, or was told something else than an outcome.
        """
        if not self._tasks:
            return 0
        _, waiting = await asyncio.wait(self._tasks.values(), timeout=SOON)
        unknown = [job_id for job_id, task in self._tasks.items() if task in waiting]
        assert not unknown, f"{len(unknown)} waiters do not know that their jobs have ended: {unknown[:3]}"
        for task in self._tasks.values():
            task.result()
        return len(self._tasks)

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()


async def _wait(job: Job[Any]) -> str:
    try:
        await job.wait()
    except (JobFailed, JobCanceled, JobExpired) as error:
        return type(error).__name__
    return "finished"
