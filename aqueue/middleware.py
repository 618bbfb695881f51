"""Users' code around the execution of jobs, and around their way into a queue.

A middleware is `async def middleware(subject, call_next)`: what it does before `await call_next()`
happens before, what it does after it happens after, what it returns counts, what it raises is raised.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from aqueue._core.functions import is_coroutine_function
from aqueue.calls import EnqueueCall
from aqueue.errors import SettingsError
from aqueue.jobs import Job

S = TypeVar("S")
R = TypeVar("R")

#: `async def middleware(job, call_next)`, around the execution of a job: `call_next()` runs it and returns
#: what its function returned. What the middleware returns is the job's result.
JobMiddleware: TypeAlias = Callable[[Job[Any], Callable[[], Awaitable[Any]]], Awaitable[Any]]

#: `async def middleware(call, call_next)`, around the way of a job into a queue: `call_next()` enqueues the
#: call, with all changes made to it, and returns the job. What the middleware returns, the caller gets.
EnqueueMiddleware: TypeAlias = Callable[[EnqueueCall, Callable[[], Awaitable[Job[Any]]]], Awaitable[Job[Any]]]


def check_middleware(given: Iterable[S], subject: str) -> tuple[S, ...]:
    """A list of middleware, first the outermost.

    Args:
        subject: What each is called with, for the error's text.

    Raises:
        SettingsError: No list, or one that is no `async def` of two parameters.
    """
    if callable(given) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"middleware={given!r} must be a list of middleware: write middleware=[...]")
    listed = tuple(given)
    for each in listed:
        if isinstance(each, type):
            raise SettingsError(f"middleware {each.__name__} is a class: give an instance of it")
        function = cast(Callable[..., Any], each)
        if not (is_coroutine_function(function) and _takes_two(function)):
            raise SettingsError(
                f"middleware {each!r} cannot be used: it must be `async def middleware({subject}, call_next)`"
            )
    return listed


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def around(
    middleware: Sequence[Callable[[S, Callable[[], Awaitable[R]]], Awaitable[R]]],
    subject: S,
    innermost: Callable[[], Awaitable[R]],
) -> Awaitable[R]:
    """Call the middleware, the first outermost, around a call."""
    call = innermost
    for each in reversed(middleware):
        call = functools.partial(each, subject, call)
    return call()
