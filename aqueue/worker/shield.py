"""Bring something to its end although the task is cancelled meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


def _ignore() -> None:
    pass


async def finish(work: Coroutine[Any, Any, T], interrupted: Callable[[], None] = _ignore) -> T:
    """Await to the end, and only then raise the cancellation that came meanwhile.

    Holds against `Task.cancel`, however often, and against an anyio scope, which cancels at each await.

    Args:
        interrupted: Called at each cancellation.
    """
    task = asyncio.get_running_loop().create_task(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
                interrupted()
    if cancelled is not None:
        raise cancelled
    return task.result()
