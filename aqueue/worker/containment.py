"""Let no child task of a job end the event loop, and with it all other jobs.

asyncio passes SystemExit and KeyboardInterrupt of any task on to whoever runs the loop. A job that calls
`sys.exit()` in a child task would end its worker, be given back for free, and end the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from aqueue.current import current_job


@contextmanager
def contained_tasks() -> Generator[None]:
    """Turn what would end the loop into an ordinary failure, for tasks that jobs make."""
    loop = asyncio.get_running_loop()
    found = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
        context = options.get("context")
        job = current_job.get() if context is None else context.get(current_job)
        if job is not None:
            coroutine = _Contained(coroutine, job.id)
        if found is not None:
            return found(loop, coroutine, **options)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(make)
    try:
        yield
    finally:
        if loop.get_task_factory() is make:
            loop.set_task_factory(found)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that raises neither SystemExit nor KeyboardInterrupt, and is itself in everything else.

    No `async def`: cancelled before its first step, that would never await the other.
    """

    def __init__(self, coroutine: Any, job_id: str) -> None:
        self._coroutine = coroutine
        self._job_id = job_id

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # its name and its frame, for those who show tasks

    def _step(self, step: Callable[..., Any], *given: Any) -> Any:
        try:
            return step(*given)
        except (SystemExit, KeyboardInterrupt) as error:
            kind = type(error).__name__
            raise RuntimeError(f"a child task of job {self._job_id!r} raised {kind}: {error}") from error
