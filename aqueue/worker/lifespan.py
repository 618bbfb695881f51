"""What the jobs of a worker share: opened before the first claim, closed after the last job has ended.

Both happen in the task of `work()`, so that context variables and task groups of the lifespan hold.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio

from aqueue._core.logs import get_logger
from aqueue.errors import SettingsError

logger: logging.Logger = get_logger("aqueue.worker")

#: Called with the worker; its context manager yields the jobs' `state`.
Opener: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]

_EXPECTED = "give a function decorated with @contextlib.asynccontextmanager that takes the worker, or nothing"


def check_lifespan(given: Callable[..., AbstractAsyncContextManager[Any]] | None) -> Opener | None:
    """A lifespan as a function of the worker, also where the user's takes nothing.

    Raises:
        SettingsError: It cannot be one.
    """
    if given is None:
        return None
    if not callable(given):  # pyright: ignore[reportUnnecessaryComparison]
        raise SettingsError(f"lifespan={given!r} is not a function: {_EXPECTED}")
    if isinstance(given, type) and not hasattr(given, "__aenter__"):
        raise SettingsError(f"lifespan={given!r} is no class of context managers: {_EXPECTED}")
    if not isinstance(given, type) and hasattr(given, "__aenter__"):
        raise SettingsError("lifespan= got what the function returned: give the function itself, not called")
    if inspect.isasyncgenfunction(given) or inspect.iscoroutinefunction(given):
        raise SettingsError(f"lifespan={given!r} is no context manager yet: {_EXPECTED}")
    if _takes(given, 0):  # first: a parameter with a default is not meant for the worker
        return lambda worker: given()
    if _takes(given, 1):
        return given
    raise SettingsError(f"lifespan={given!r} needs more than the worker: {_EXPECTED}")


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    except ValueError:  # written in C, and silent about it
        return count == 1
    return True


class Lifespan:
    """The lifespan of one `work()`."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Any]] | None) -> None:
        self._make = make
        self._opening: asyncio.Timeout | None = None
        self._closing: asyncio.Timeout | None = None
        self._is_stopped = False
        #: What it yielded; None without a lifespan.
        self.state: Any = None
        #: What it raised.
        self.error: Exception | None = None

    async def around(self, work: Callable[[], Awaitable[bool]]) -> bool:
        """Open it, work, close it; False when a request to stop came before it was open.

        It is closed the same way whatever ended the work, a cancellation too: its code after `yield` runs.
        """
        if self._make is None:
            return await work()
        with anyio.CancelScope() as scope:  # entered before all scopes of the lifespan, left after them
            manager = await self._open(self._make)
            if manager is None:
                return False
            try:
                return await work()
            finally:
                scope.shield = True
                await self._close(manager)
        return False

    def stop(self) -> None:
        """Give up opening: there is nothing to open it for."""
        self._is_stopped = True
        _cut(self._opening)

    def force(self) -> None:
        """Give up a closing that takes too long for somebody."""
        _cut(self._closing)

    async def _open(
        self, make: Callable[[], AbstractAsyncContextManager[Any]]
    ) -> AbstractAsyncContextManager[Any] | None:
        if self._is_stopped:
            return None
        self._opening = limit = asyncio.timeout(None)
        try:
            async with limit:
                manager: Any = make()
                if not hasattr(manager, "__aenter__"):
                    raise SettingsError(f"lifespan returned {manager!r}, no context manager: {_EXPECTED}")
                self.state = await manager.__aenter__()
                return manager  # type: ignore[no-any-return]
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                logger.info("the lifespan was not opened to its end: the worker was asked to stop")
                return None
            self._failed(error, "open")
            raise
        finally:
            self._opening = None

    async def _close(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._closing = limit = asyncio.timeout(None)
        try:
            async with limit:
                await manager.__aexit__(None, None, None)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                logger.warning("the lifespan was not closed to its end: the worker was told to end at once")
                return
            self._failed(error, "close")
            raise
        finally:
            self._closing = None

    def _failed(self, error: Exception, verb: str) -> None:
        self.error = error
        logger.error("the lifespan failed to %s", verb, exc_info=error)


def _cut(step: asyncio.Timeout | None) -> None:
    if step is not None and not step.expired():
        step.reschedule(asyncio.get_running_loop().time())
