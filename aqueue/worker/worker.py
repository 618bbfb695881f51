"""`Worker`: one process that runs jobs, hundreds at a time.

    fetcher      claims jobs for the free slots                        aqueue.worker.fetcher
    executor     runs them, as tasks and in threads                    aqueue.worker.executor
    settler      records how they ended, until Redis has answered      aqueue.worker.settler
    heartbeat    keeps their leases, in a thread of its own            aqueue.worker.heartbeat
    watchdog     tells what blocks the loop, in a thread of its own    aqueue.worker.watchdog
    maintenance  promotes, recovers and prunes, for everybody          aqueue.worker.maintenance

Shutdown (SIGTERM, SIGINT, `stop()`): claim no more; running jobs go on up to the grace, their
leases kept; then they are cancelled and may clean up; what is left is released to the front of
its queue. A second signal skips the grace. A kill at any point is safe: the leases bring the jobs back.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, TypeAlias, Unpack

from aqueue._core.clock import Duration
from aqueue._core.logs import get_logger
from aqueue._core.names import check_name
from aqueue._core.options import Executor
from aqueue._core.trust import WAYS_TO_RUN, refusal
from aqueue.connection import Connection, Namespace, SpaceOptions, check_names, open_namespace
from aqueue.errors import SettingsError
from aqueue.middleware import JobMiddleware
from aqueue.queue import Queue
from aqueue.worker.containment import contained_tasks
from aqueue.worker.identity import Identity
from aqueue.worker.lifespan import Lifespan
from aqueue.worker.run import Run
from aqueue.worker.settings import RunLimits, WorkerSettings, check_limits, check_settings
from aqueue.worker.signals import restored_signals
from aqueue.workers import WorkerInfo, all_workers, workers_in

logger: logging.Logger = get_logger("aqueue.worker")


class Worker:
    """Runs the jobs of some queues of one namespace."""

    def __init__(
        self,
        queues: Queue | str | Iterable[Queue | str] = ("default",),
        connection: Connection | None = None,
        *,
        name: str | None = None,
        concurrency: int = 100,
        lease: Duration = 30,
        grace: Duration = 25,
        default_timeout: Duration | None = None,
        max_zombies: int | None = None,
        on_unsure: Literal["continue", "cancel"] = "continue",
        max_stall: Duration = 600,
        max_rss: int | str | None = None,
        executor: Executor | None = None,
        max_children: int | None = None,
        lifespan: LifespanFunction | None = None,
        middleware: Iterable[JobMiddleware] = (),
        allow: Iterable[str] | str | None = None,
        **options: Unpack[SpaceOptions],
    ) -> None:
        """Make a worker; no I/O.

        Args:
            queues: Served strictly in this order.
            connection: A redis-py client or a URL; without it, the first Queue's.
            name: A label for people; workers may share it. Default: a random id.
            concurrency: Jobs that run at the same time, `def` functions in threads included.
            lease: How long after the last sign of life of this worker its jobs go to others; the same for
                all workers of a namespace, which judge by it whether Redis or a worker was away.
            grace: After SIGTERM, running jobs may go on this long.
            default_timeout: How long jobs may run that were enqueued without a timeout; 180 s, -1: no limit.
            max_zombies: With more jobs than this that were given up but whose code still runs, it drains, and
                `restart_reason` says so: only a new process gets their slots back. Default: half the
                concurrency, at least 1.
            on_unsure: What becomes of a job whose lease Redis has not confirmed for the whole length of the
                lease: "continue", and its token decides; or "cancel" it here, as another may run it soon.
            max_stall: When code blocks the event loop for so long, and for longer than each running job may
                run, other workers get the jobs; `work()` in the main thread then ends the process with 75.
            max_rss: When this process holds more memory than this (bytes, or "512M"), the worker takes no new
                jobs, lets the running ones end, and `restart_reason` says so.
            executor: Where jobs run that say nothing themselves: "process": each in a child process; "thread"
                is the default for functions that are no coroutine functions, which are tasks always.
            max_children: Child processes at the same time; more jobs for them wait in their slots. Default:
                one per processor.
            lifespan: Opens what the jobs share, before the first of them, and closes it after the last; jobs
                see what it yields as `get_current_job().state`. A function of the worker, or of nothing,
                decorated with `contextlib.asynccontextmanager`.
            middleware: Around the execution of each job, the first outermost: `async def mw(job, call_next)`.
            allow: Run only functions that these modules and their submodules define, and decorated ones.
            options: namespace, serializer, signing_key and trust_redis, else those of the first Queue; see
                `aqueue.connection.SpaceOptions`.

        Raises:
            SettingsError: A value that cannot be used, or a Redis that is not local and not to be trusted.
        """
        listed = _listed(queues)
        self.space: Namespace = _space(listed, connection, allow, options)
        names = [queue.name if isinstance(queue, Queue) else check_name(queue, "queue") for queue in listed]
        if not names:
            raise SettingsError("a worker needs at least one queue")
        label = None if name is None else check_name(name, "worker")
        self._me = Identity(label, list(dict.fromkeys(names)))
        self.settings: WorkerSettings = check_settings(
            concurrency=concurrency, lease=lease, grace=grace, default_timeout=default_timeout,
            max_zombies=max_zombies, on_unsure=on_unsure, max_stall=max_stall, max_rss=max_rss,
            executor=executor, max_children=max_children, lifespan=lifespan, middleware=middleware,
        )  # fmt: skip
        #: The last call of `work`, over or not.
        self._run: Run | None = None
        self._is_working = False

    def __repr__(self) -> str:
        return f"<Worker {self.name} of {', '.join(self.queues)}>"

    @property
    def id(self) -> str:
        """Random, new for each worker, also in a forked child; part of every token."""
        return self._me.id

    @property
    def name(self) -> str:
        """A label for people; the id unless it was given."""
        return self._me.name

    @property
    def queues(self) -> list[str]:
        """Names of the queues it serves, in order."""
        return list(self._me.queues)

    @property
    def successful_job_count(self) -> int:
        """Jobs that finished here."""
        return self._me.finished

    @property
    def failed_job_count(self) -> int:
        """Jobs that failed here."""
        return self._me.failed

    async def work(
        self,
        burst: bool = False,
        *,
        max_jobs: int | None = None,
        max_idle_time: Duration | None = None,
        handle_signals: bool = True,
    ) -> bool:
        """Run jobs until stopped; whether any job was run.

        In the main thread it handles SIGTERM and SIGINT and puts back the handlers that it found.
        Cancelling it skips the grace: jobs are cancelled, may clean up, and are released.

        Args:
            burst: End when nothing claimable waits and nothing of this worker runs; scheduled jobs, delayed
                retries and paused queues are left.
            max_jobs: End after so many jobs.
            max_idle_time: End after so long without a job.
            handle_signals: False leaves SIGTERM and SIGINT to the program, which calls `stop()`.

        Raises:
            QueueUnavailable: Redis could not be reached at the start, its user lacks a permission (`missing`
                says which), or it is the wrong node of a cluster (`moved_to`); or it has become that, or has
                refused the credentials, for five minutes. Other outages are waited out.
            SettingsError: A limit that cannot be used, or data whose layout a newer version has changed.
            Exception: What the lifespan raised: while opening, before any job; while closing, after the last.
        """
        limits = check_limits(burst, max_jobs, max_idle_time)
        return await self._work(limits, handle_signals=handle_signals)

    async def stop(self, *, force: bool = False) -> None:
        """Ask it to stop, as SIGTERM does, and return at once; await the `work()` task for the end.

        Args:
            force: Skip the grace, as a second signal does.
        """
        await asyncio.sleep(0)  # a `work()` task that was made just now begins
        if self._run is not None:
            self._run.ask_to_stop()
            if force:
                self._run.force()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Worker]:
        """Work inside another asyncio program: no signal handlers, drained on exit.

        Raises:
            QueueUnavailable: Redis could not be reached.
            SettingsError: A newer version has changed the layout of the data.
        """
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        task = loop.create_task(self._work(RunLimits(), handle_signals=False, ready=ready))
        try:
            first: list[asyncio.Future[Any]] = [task, ready]
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            task.add_done_callback(self._ended_early)
            yield self
        finally:
            task.remove_done_callback(self._ended_early)
            if not ready.done():
                task.cancel()  # there is nothing to drain yet
            elif self._run is not None and not task.done():
                self._run.ask_to_stop()
            await task

    def _ended_early(self, task: asyncio.Task[bool]) -> None:
        """Say it now: who works inside another program raises it only when that ends."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("worker %s has ended, no jobs are run here any more", self.name, exc_info=error)

    @classmethod
    async def all(
        cls,
        connection: Connection | None = None,
        queue: Queue | str | None = None,
        *,
        namespace: str | None = None,
    ) -> list[WorkerInfo]:
        """The workers of the namespace, as they described themselves at their last beat. Two round trips.

        Those that were killed lately are among them: `WorkerInfo.is_silent` tells them apart.

        Args:
            queue: Only the workers that serve it; a Queue also says which Redis and namespace.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        if isinstance(queue, Queue) and connection is None and namespace is None:
            found = await workers_in(queue.space)
        else:
            found = await all_workers(connection, namespace=namespace)
        name = queue.name if isinstance(queue, Queue) else queue
        return found if name is None else [worker for worker in found if name in worker.queues]

    @classmethod
    async def count(
        cls,
        connection: Connection | None = None,
        queue: Queue | str | None = None,
        *,
        namespace: str | None = None,
    ) -> int:
        """How many workers are up: those of `all` that are not silent. Two round trips."""
        return sum(not worker.is_silent for worker in await cls.all(connection, queue, namespace=namespace))

    @property
    def has_zombies(self) -> bool:
        """Whether code of jobs that were given up still ran at the end of the last `work()`."""
        return self._run is not None and bool(self._run.running.zombies)

    @property
    def restart_reason(self) -> str | None:
        """Why the last `work()` drained of itself: another process should take its place."""
        return None if self._run is None else self._run.restart_reason

    @property
    def reached_max_jobs(self) -> bool:
        """Whether `max_jobs` ended the last `work()`."""
        return self._run is not None and self._run.reached_max_jobs

    @property
    def was_forced(self) -> bool:
        """Whether the last `work()` was ended without its grace, by a second signal or `stop(force=True)`."""
        return self._run is not None and self._run.is_forced

    @property
    def lifespan_error(self) -> Exception | None:
        """What the lifespan raised in the last `work()`."""
        return None if self._run is None else self._run.lifespan.error

    async def _work_as_guest(self, limits: RunLimits) -> bool:
        """Work inside another program: without signal handlers, and a stall does not end the process."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        return await self._work(limits, handle_signals=False, ready=ready)

    async def _work(
        self, limits: RunLimits, *, handle_signals: bool, ready: asyncio.Future[None] | None = None
    ) -> bool:
        if self._is_working:
            raise SettingsError(f"worker {self.name!r} works already; make another one")
        self._is_working = True
        opener = self.settings.lifespan
        lifespan = Lifespan(None if opener is None else functools.partial(opener, self))
        self._run = run = Run(self.space, self.settings, self._me, limits, lifespan)
        try:
            client = self.space.connector.client()
            await client.check_permissions(self.space.keys)
            await client.load_scripts(self.space.keys)
            with restored_signals(run.signaled if handle_signals else None), contained_tasks():
                return await lifespan.around(functools.partial(run.work, ready))
        finally:
            self._is_working = False


#: What `lifespan=` takes.
LifespanFunction: TypeAlias = (
    Callable[[Worker], AbstractAsyncContextManager[Any]] | Callable[[], AbstractAsyncContextManager[Any]]
)


def _listed(queues: Queue | str | Iterable[Queue | str]) -> list[Queue | str]:
    if isinstance(queues, Queue | str):
        return [queues]
    if isinstance(queues, bytes) or not isinstance(queues, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"a worker takes queues or their names, not {type(queues).__name__}")
    return list(queues)


def _space(
    listed: list[Queue | str],
    connection: Connection | None,
    allow: Iterable[str] | str | None,
    options: SpaceOptions,
) -> Namespace:
    """Where the worker works: as it is told, else as its first Queue.

    Raises:
        SettingsError: Its queues do not lie together, or its Redis is not to be trusted.
    """
    space = _open(listed, connection, allow, options)
    space.codec.check_trust()
    if not (space.is_trusted or space.codec.seal.keys or space.codec.allowed):
        raise SettingsError(refusal(space.connector.source.shown, WAYS_TO_RUN))
    return space


def _open(
    listed: list[Queue | str],
    connection: Connection | None,
    allow: Iterable[str] | str | None,
    options: SpaceOptions,
) -> Namespace:
    check_names(options)
    spaces = [queue.space for queue in listed if isinstance(queue, Queue)]
    if not spaces:
        return open_namespace(connection, allow=allow, **options)
    first = spaces[0]
    namespace = options.get("namespace")
    for space in spaces:
        elsewhere = connection is None and space.connector.source.shown != first.connector.source.shown
        if elsewhere or (namespace is None and space.keys != first.keys):
            raise SettingsError(
                "a worker serves queues of one Redis and one namespace: make another worker for the others"
            )
    return open_namespace(
        connection or first.connector,
        max_job_bytes=first.codec.max_bytes,
        allow=allow,
        namespace=namespace or first.keys.namespace,
        serializer=options.get("serializer") or first.codec.serializer,
        signing_key=given if (given := options.get("signing_key")) is not None else first.codec.seal.keys,
        trust_redis=options.get("trust_redis") or (True if connection is None and first.is_trusted else None),
    )
