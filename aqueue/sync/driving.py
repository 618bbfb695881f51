"""How `aqueue.sync` runs the calls of `aqueue`: the same coroutines, on blocking connections, no loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aqueue._redis.blocking import run_blocking
from aqueue.errors import EnqueueUncertain

T = TypeVar("T")
U = TypeVar("U")


def drive(call: Coroutine[Any, Any, T], owner: str, *, in_loop: bool = False) -> T:
    """Run a call of a queue, a job or a registry to its end.

    Args:
        in_loop: In a loop of its own: the queue runs its jobs where they are enqueued.

    Raises:
        RuntimeError: In a coroutine; the message names the awaited form.
    """
    try:
        refuse_in_coroutine(f"await {owner}.{getattr(call, '__name__', '')}(...)")
    except RuntimeError:
        call.close()
        raise
    return asyncio.run(call) if in_loop else run_blocking(call)


def drive_enqueue(
    call: Coroutine[Any, Any, T], owner: str, wrap: Callable[[T], U], *, in_loop: bool = False
) -> U:
    """Run a call that enqueues; if its reply is lost, the error's `retry()` needs no `await`.

    Args:
        wrap: Makes of what the call returns what the caller gets.
    """
    try:
        return wrap(drive(call, owner, in_loop=in_loop))
    except EnqueueUncertain as error:
        again = error._again
        if again is not None:
            error._again = lambda: drive_enqueue(again(), owner, wrap, in_loop=in_loop)
            error.args = (str(error).replace("`await error.retry()`", "`error.retry()`"),)
        raise


def refuse_in_coroutine(instead: str) -> None:
    """Raise where an event loop runs: a blocking call would stall all of its jobs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"aqueue.sync would block the event loop here: use `{instead}` of aqueue")
