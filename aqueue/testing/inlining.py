"""Run jobs where they are enqueued."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aqueue.inline import inline_options
from aqueue.worker.worker import Worker


@contextmanager
def inline(**options: Any) -> Generator[None]:
    """Run what is enqueued inside at once, in the caller's loop: `enqueue` returns when the job has ended.

    In any queue, by any code of this context, tasks and threads that it starts included, also what the jobs
    themselves enqueue. They run as in a worker, with their timeouts, `get_current_job()`, results and
    registries; a failure is recorded in the job and not raised. What is enqueued for later
    (`enqueue_in`, `enqueue_at`) is scheduled, a retry waits like any, a requeued job waits for a worker.

    Args:
        options: Of the `Worker` that runs each of them, such as `lifespan=` and `middleware=`.

    Raises:
        SettingsError: An option that cannot be used.
    """
    if options:
        Worker("default", **options)
    token = inline_options.set(options)
    try:
        yield
    finally:
        inline_options.reset(token)
