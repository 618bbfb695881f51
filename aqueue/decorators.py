"""`@job`: a function that knows the queue and the options of its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Unpack, overload

from aqueue._core.allowed import register
from aqueue._core.clock import Duration
from aqueue._core.decorated import Decorated, T_co
from aqueue._core.names import check_name
from aqueue._core.options import EnqueueOptions, JobDefaults, check_known, check_options
from aqueue._core.signatures import Coro, P, R
from aqueue._redis.connector import connector_for
from aqueue.connection import Connection
from aqueue.errors import SettingsError
from aqueue.jobs import Job
from aqueue.queue import Queue

T = TypeVar("T")


class JobFunction(Decorated[P, T_co]):
    """A function made by `@job`: call it to run it here, `await f.delay(...)` to enqueue the call."""

    def __init__(
        self, func: Callable[P, T_co], queue: Callable[[], Queue], defaults: Mapping[str, Any]
    ) -> None:
        """Use `job`."""
        super().__init__(func, defaults)
        self._queue = queue

    @overload
    async def delay(self: JobFunction[P, Coro[R]], *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    async def delay(self: JobFunction[P, R], *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    async def delay(self: Any, *args: Any, **kwargs: Any) -> Job[Any]:
        """Enqueue a call of the function in its queue; see `Queue.enqueue`. All arguments are the function's.

        Raises:
            SettingsError: A worker could not import the function.
        """
        return await self._queue()._enqueue(self, args, kwargs, {})  # type: ignore[no-any-return]

    def options(self, **options: Unpack[EnqueueOptions]) -> JobFunction[P, T_co]:
        """This function with other options: `await f.options(job_id="a").delay(...)`.

        Raises:
            SettingsError: An unknown option, or a value that cannot be used.
        """
        check_known(options)
        check_options(options)
        return JobFunction(self.__wrapped__, self._queue, {**self.defaults, **options})


def job(
    queue: Queue | str,
    connection: Connection | None = None,
    timeout: Duration | None = None,
    **options: Unpack[JobDefaults],
) -> Callable[[Callable[P, T]], JobFunction[P, T]]:
    """Make a function, `async def` or `def`, one that can be enqueued by `await f.delay(...)`.

    `queue.enqueue(f, ...)` takes its options, too, where the call gives none. Workers with an allow list run
    it, too, once its module is imported. Nothing is connected here.

    Args:
        queue: A name, whose connection and namespace are settled at each call, or a Queue.
        connection: For a name: see `Queue`.
        timeout: The same as `job_timeout`.
        options: The options of `Queue.enqueue`, but for job_id.

    Raises:
        SettingsError: A value that cannot be used, or no function at the top of a module.
    """
    made = _queue_of(queue, connection)
    defaults: dict[str, Any] = {**options}
    if timeout is not None:
        defaults["job_timeout"] = timeout
    if "job_id" in defaults:
        raise SettingsError(
            "@job(job_id=...) would give all jobs one id: use f.options(job_id=...).delay(...)"
        )
    check_known(defaults)
    check_options(defaults)

    def decorate(func: Callable[P, T]) -> JobFunction[P, T]:
        function = JobFunction(func, made, defaults)
        register(f"{function.__module__}.{function.__qualname__}")
        return function

    return decorate


def _queue_of(queue: Queue | str, connection: Connection | None) -> Callable[[], Queue]:
    if isinstance(queue, Queue):
        if connection is not None:
            raise SettingsError(f"@job: {queue!r} has its connection already, leave connection= out")
        return lambda: queue
    if not isinstance(queue, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError('@job needs the name of a queue: write @job("default")')
    name = check_name(queue, "queue")
    if connection is not None:
        connector_for(connection)
    return lambda: Queue(name, connection)
