"""Jobs that run where they are enqueued and do not wait for a worker: who wants that, and the way there.

For tests, and for programs that are to do without a worker: `Queue(is_async=False)` and
`aqueue.testing.inline()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from aqueue._redis.operations import NewJob
from aqueue.jobs import Job

#: Options of the workers that run at once what is enqueued in this context; None: it waits in its queue.
inline_options: ContextVar[Mapping[str, Any] | None] = ContextVar("aqueue_inline", default=None)


async def run_here(queue: Any, job: Job[Any], new: NewJob) -> None:
    """Enqueue a job and run it in the running loop; see `aqueue.worker.inline`."""
    from aqueue.worker.inline import enqueue_and_run  # stands right of here, for those who run jobs

    await enqueue_and_run(queue, job, new, inline_options.get() or {})
