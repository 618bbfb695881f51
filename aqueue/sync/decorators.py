"""`@job` for code without an event loop: `f.delay(...)` needs no `await`; see `aqueue.decorators`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, Unpack, overload

from aqueue import decorators
from aqueue._core.clock import Duration
from aqueue._core.decorated import Decorated, T_co
from aqueue._core.options import EnqueueOptions, JobDefaults
from aqueue._core.signatures import Coro, P, R
from aqueue.connection import Connection
from aqueue.jobs import Job as AsyncJob
from aqueue.sync.driving import drive_enqueue
from aqueue.sync.jobs import Job
from aqueue.sync.queue import Queue

T = TypeVar("T")


class JobFunction(Decorated[P, T_co]):
    """A function made by `job`: call it to run it here, `f.delay(...)` to enqueue the call."""

    def __init__(self, twin: decorators.JobFunction[P, T_co]) -> None:
        """Use `job`."""
        super().__init__(twin.__wrapped__, twin.defaults)
        self._twin = twin

    @overload
    def delay(self: JobFunction[P, Coro[R]], *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    @overload
    def delay(self: JobFunction[P, R], *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...
    def delay(self: Any, *args: Any, **kwargs: Any) -> Job[Any]:
        """Enqueue a call of the function in its queue; see `aqueue.decorators.JobFunction.delay`."""
        queue = self._twin._queue()
        call: Coroutine[Any, Any, AsyncJob[Any]] = self._twin.delay(*args, **kwargs)
        return drive_enqueue(call, self.__name__, Job, in_loop=queue._runs_here)

    def options(self, **options: Unpack[EnqueueOptions]) -> JobFunction[P, T_co]:
        """This function with other options: `f.options(job_id="a").delay(...)`."""
        return JobFunction(self._twin.options(**options))


def job(
    queue: Queue | str,
    connection: Connection | None = None,
    timeout: Duration | None = None,
    **options: Unpack[JobDefaults],
) -> Callable[[Callable[P, T]], JobFunction[P, T]]:
    """Make a function, `async def` or `def`, one that can be enqueued by `f.delay(...)`; see `aqueue.job`."""
    twin = queue._queue if isinstance(queue, Queue) else queue
    decorate = decorators.job(twin, connection, timeout, **options)

    def decorate_both(func: Callable[P, T]) -> JobFunction[P, T]:
        return JobFunction(decorate(func))

    return decorate_both
