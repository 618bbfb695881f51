"""`BoundQueue`: a queue's enqueue methods with the options set apart from the function's arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, overload

from aqueue._core.clock import Duration, delay_until, to_ms
from aqueue._core.signatures import Coro, P, R
from aqueue.jobs import Job


class BoundQueue:
    """A queue with options set apart from the arguments; made by `Queue.options`."""

    def __init__(self, enqueue: Callable[..., Awaitable[Job[Any]]], options: Mapping[str, Any]) -> None:
        """Use `Queue.options`; `enqueue` takes function, args, kwargs, options and delay in milliseconds."""
        self._enqueue = enqueue
        self._options = options

    @overload
    async def enqueue(self, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def enqueue(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Job[Any]:
        """`Queue.enqueue`; all arguments are the function's."""
        return await self._enqueue(func, args, kwargs, self._options)

    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_in`; all arguments are the function's."""
        return await self._enqueue(func, args, kwargs, self._options, to_ms(delay, "delay"))

    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[P, Coro[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(
        self, when: datetime, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...
    @overload
    async def enqueue_at(self, when: datetime, func: str, /, *args: Any, **kwargs: Any) -> Job[Any]: ...
    async def enqueue_at(
        self, when: datetime, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> Job[Any]:
        """`Queue.enqueue_at`; all arguments are the function's."""
        return await self._enqueue(func, args, kwargs, self._options, delay_until(when, "when"))
