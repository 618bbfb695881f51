"""`Job`: the handle of one job. Attributes are the last snapshot; every awaited method is one operation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Self, TypeVar, Unpack

from aqueue._core.clock import Duration, now_ms, to_ms
from aqueue._core.decorated import with_defaults
from aqueue._core.names import check_job_id, check_name, new_nonce
from aqueue._core.options import Executor, JobOptions, Retry, check_options
from aqueue._core.record import JobRecord
from aqueue._core.status import ENDED, JobStatus
from aqueue._redis import lookups, operations
from aqueue._redis.lookups import Snapshot
from aqueue.connection import Connection, Namespace, SpaceOptions, open_namespace
from aqueue.draft import Pattern, as_drafted, check_arguments, new_job
from aqueue.errors import DuplicateJobError, InvalidJobOperation, NoSuchJobError, WaitTimeout
from aqueue.result import Result, current_result, outcome_error, past_result
from aqueue.snapshot import JobView

R_co = TypeVar("R_co", covariant=True)

#: Jobs per pipeline of `fetch_many`.
FETCH_CHUNK = 1_000

_NO_STATE: Any = object()


class Job(JobView, Generic[R_co]):
    """A job, as the program that enqueued, fetched or runs it sees it."""

    __slots__ = ("_at_front", "_durability", "_space", "_state")

    def __init__(self, record: JobRecord, space: Namespace, result: bytes | None = None) -> None:
        """Use `Job.create`, `Job.fetch` or `Queue.enqueue`."""
        super().__init__(record, space.codec, result)
        self._space = space
        self._at_front = False
        self._durability: str | None = None
        self._state: Any = _NO_STATE

    @classmethod
    def create(
        cls,
        func: Callable[..., Any] | str,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        id: str | None = None,
        timeout: Duration | None = None,
        result_ttl: Duration | None = None,
        ttl: Duration | None = None,
        failure_ttl: Duration | None = None,
        description: str | None = None,
        origin: str = "",
        meta: Mapping[str, Any] | None = None,
        retry: Retry | int | None = None,
        priority: int | None = None,
        at_front: bool | None = None,
        executor: Executor | None = None,
        durability: str | None = None,
        **space_options: Unpack[SpaceOptions],
    ) -> Job[Any]:
        """Make a job without storing it; no I/O. `queue.enqueue_job(job)` or `job.save()` stores it.

        Raises:
            SettingsError: A function, id, name or option that cannot be used.
            PayloadError: Arguments or meta that cannot be encoded.
        """
        given: Mapping[str, Any] = {
            "job_timeout": timeout, "result_ttl": result_ttl, "ttl": ttl, "failure_ttl": failure_ttl,
            "description": description, "retry": retry, "priority": priority, "at_front": at_front,
            "meta": meta, "executor": executor, "durability": durability,
        }  # fmt: skip
        given = with_defaults(func, {name: value for name, value in given.items() if value is not None})
        space = open_namespace(connection, **space_options)
        options: JobOptions = check_options(given)
        call = check_arguments(args, kwargs)
        record = Pattern(func, options).draft(space.codec, *call, job_id=id, meta=given.get("meta"))
        record = record.evolve(
            created_at=now_ms(),
            queue=check_name(origin, "queue") if origin else None,
            timeout=options.timeout,  # kept also where it is the default: a queue's own must not replace it
        )
        job: Job[Any] = Job(record, space)
        job._at_front, job._durability = options.at_front, options.durability
        return job

    @classmethod
    async def fetch(
        cls,
        id: str,
        connection: Connection | None = None,
        **options: Unpack[SpaceOptions],
    ) -> Job[Any]:
        """Read a job with its result. One round trip.

        Raises:
            NoSuchJobError: There is none of this id.
            QueueUnavailable: Redis did not answer.
        """
        found = await cls.fetch_many([id], connection, **options)
        if found[0] is None:
            raise NoSuchJobError(id)
        return found[0]

    @classmethod
    async def fetch_many(
        cls,
        ids: Iterable[str],
        connection: Connection | None = None,
        **options: Unpack[SpaceOptions],
    ) -> list[Job[Any] | None]:
        """Read jobs with their results, in the order asked for; None for a missing one.

        One round trip per 1,000 ids: an HGETALL each and one MGET, pipelined.
        """
        return await fetch_jobs(open_namespace(connection, **options), list(ids))

    @classmethod
    async def exists(
        cls, id: str, connection: Connection | None = None, *, namespace: str | None = None
    ) -> bool:
        """Whether there is a job of this id. One round trip."""
        space = open_namespace(connection, namespace=namespace)
        [(status, gone)] = await space.client.read(lookups.statuses(space.keys, [check_job_id(id)]))
        return status is not None and not gone

    @property
    def origin(self) -> str:
        """The name of its queue. May be set until the job is stored."""
        return self._record.queue

    @origin.setter
    def origin(self, name: str) -> None:
        if not self._is_draft:
            raise InvalidJobOperation(self.id, verb="move", status=self.status)
        self._record = self._codec.seal.verified(self._record).evolve(queue=check_name(name, "queue"))

    @property
    def state(self) -> Any:
        """What the worker's lifespan yielded, None without one: shared by all jobs of the worker's process.

        Raises:
            RuntimeError: This is not the job that runs here, or it runs in a child process.
        """
        if self._state is _NO_STATE:
            raise RuntimeError(
                f"job {self.id!r} has no state here: what a worker's lifespan opened is seen through "
                "get_current_job() by jobs that run in the worker's own process, as coroutine or in a thread"
            )
        return self._state

    @property
    def result(self) -> R_co | None:
        """What its function returned; None before that, and after its result_ttl.

        Raises:
            PayloadError: It cannot be decoded here.
        """
        return super().result  # type: ignore[no-any-return]

    @property
    def _is_draft(self) -> bool:
        """Whether it was never enqueued, so that all but its id may still change."""
        return self.status is JobStatus.CREATED

    def _adopt(self, space: Namespace) -> None:
        """Make a draft belong to this namespace, with its arguments and its meta as they are now.

        Raises:
            BadSignature: It was read from Redis, which is not to be signed on somebody else's behalf.
        """
        self._record = self._codec.seal.verified(self._record)
        is_other = space.codec != self._codec
        if is_other:
            call = space.codec.encode_call(self.func_name, self.args, self.kwargs)
            self._record = self._record.evolve(data=call)
        if self._meta is not None or is_other:
            meta = space.codec.encode_meta(self.id, self.func_name, self.meta) if self.meta else None
            self._record = self._record.evolve(meta=meta)
        self._codec = space.codec
        self._space = space

    async def save(self) -> Self:
        """Store a new job without enqueuing it: -> created. Its record lives a day. One round trip.

        Raises:
            DuplicateJobError: The id belongs to a job that has not ended.
            InvalidJobOperation: It was enqueued already; its meta is saved by `save_meta`.
        """
        if not self._is_draft:
            raise InvalidJobOperation(self.id, verb="save", status=self.status)
        space = self._space
        self._adopt(space)
        queue = self.origin or "default"
        job = new_job(as_drafted(self._record), queue, space.codec, nonce=new_nonce(), mode="save")
        stored = await space.client.run(operations.enqueue(space.keys, queue, [job]))
        self._stored(queue, stored.at_ms, stored.words[0])
        return self

    def _stored(self, queue: str, at_ms: int, word: str) -> None:
        """Take over what an enqueue call answered.

        Raises:
            DuplicateJobError: The id belongs to another job.
        """
        if word.startswith("duplicate "):
            raise DuplicateJobError(self.id, status=word.removeprefix("duplicate "))
        self._record = self._record.joined(_stored_fields(queue, at_ms, word))

    async def refresh(self) -> None:
        """Read the job again, with its result. One round trip.

        Raises:
            NoSuchJobError: It is gone.
        """
        space = self._space
        [found] = await space.client.read(lookups.snapshots(space.keys, [self.id]))
        if found is None or found.record.gone:
            raise NoSuchJobError(self.id)
        self._renew(found)

    async def get_status(self, refresh: bool = True) -> JobStatus:
        """Its status now; with `refresh=False` as last read. One round trip."""
        if refresh:
            await self.refresh()
        return self.status

    async def get_meta(self, refresh: bool = True) -> dict[str, Any]:
        """Its meta now; with `refresh=False` as last read. One round trip."""
        if refresh:
            await self.refresh()
        return self.meta

    async def save_meta(self) -> None:
        """Write `meta`, the whole of it; the last writer wins, also on ended jobs. One round trip.

        Raises:
            LeaseLost: Called from inside the job after it lost its lease: nothing was written.
            NoSuchJobError: The job is gone; it is not brought back.
            PayloadError: It cannot be encoded or is over the size limit.
        """
        space = self._space
        raw = self._codec.encode_meta(self.id, self.func_name, self.meta)
        await space.client.run(operations.amend(space.keys, self.id, raw, token=self._token))
        self._record = self._record.evolve(meta=raw)

    async def get_position(self) -> int | None:
        """How many jobs are before it in its queue; None when it does not wait. One round trip."""
        space = self._space
        return await space.client.run(operations.position(space.keys, self.origin, self.id))

    async def wait(self, timeout: Duration | None = None) -> R_co:
        """Wait until the job has ended, and return what its function returned.

        Told by Redis, without polling; any number of waiters share one connection. While Redis is away it
        waits on. Cancelling this call does not touch the job.

        Args:
            timeout: At most so long; None: for ever, 0: only look.

        Raises:
            JobFailed: It failed; the traceback is in `.traceback`. `JobTimeout` when it ran too long.
            JobCanceled: It was canceled; `JobStopped` when it was stopped while it ran.
            JobExpired: Its ttl passed before it was started.
            WaitTimeout: It has not ended in time; it may still end later.
            NoSuchJobError: There is no such job, or its result is not kept.
            BadSignature: With a signing key: the result was not signed with it.
            SettingsError: The result could not be decoded here; see `Queue`.
        """
        seconds = None if timeout is None else to_ms(timeout, "timeout", zero=True) / 1000
        self._codec.check_trust()
        space = self._space
        if seconds == 0:
            [snapshot] = await space.client.read(lookups.snapshots(space.keys, [self.id]))
            if snapshot is not None and not snapshot.record.gone and snapshot.record.status not in ENDED:
                raise WaitTimeout(self.id, timeout=0)
        else:
            snapshot = await self._ended(space, seconds)
        error = outcome_error(self.id, snapshot)
        if snapshot is not None and not snapshot.record.gone:
            self._renew(snapshot)
        if error is not None:
            raise error
        return super().result  # type: ignore[no-any-return]

    async def _ended(self, space: Namespace, seconds: float | None) -> Snapshot | None:
        try:
            return await space.client.ended(space.keys, self.id, seconds)
        except TimeoutError:
            raise WaitTimeout(self.id, timeout=seconds or 0, unanswered=space.client.is_down) from None

    async def return_value(self, refresh: bool = False) -> R_co | None:
        """What its function returned; None before that. No round trip if it had ended at the last read."""
        if refresh or self.status not in ENDED:
            await self.refresh()
        return self.result

    async def latest_result(self, timeout: Duration = 0) -> Result | None:
        """How its last execution ended, None before that; waits up to `timeout` for the end.

        Raises:
            NoSuchJobError: There is no such job, or its result is not kept.
        """
        seconds = to_ms(timeout, "timeout", zero=True) / 1000
        if seconds:
            try:
                await self._ended(self._space, seconds)
            except WaitTimeout:
                pass
        found = await self.results()
        return found[0] if found else None

    async def results(self) -> list[Result]:
        """How its executions ended, newest first; the last ten are kept. Two round trips."""
        space = self._space
        await self.refresh()
        current = current_result(Snapshot(self._record, self._result), self._codec)
        past = await space.client.read(lookups.history(space.keys, self.id))
        earlier = [past_result(self._record, execution, self._codec) for execution in past]
        return earlier if current is None else [current, *earlier]

    async def cancel(self) -> None:
        """Cancel it: at once while it waits; a running one is asked, and ends canceled. One round trip.

        Raises:
            InvalidJobOperation: It has ended.
            NoSuchJobError: It is gone.
        """
        await self._end("cancel")

    async def stop(self) -> None:
        """Ask a running job to end; it ends stopped, in the failed registry. One round trip.

        Raises:
            InvalidJobOperation: It does not run.
            NoSuchJobError: It is gone.
        """
        await self._end("stop")

    async def _end(self, mode: str) -> None:
        space = self._space
        status = await space.client.run(operations.cancel(space.keys, self.id, nonce=new_nonce(), mode=mode))
        self._record = self._record.evolve(status=status)

    async def requeue(self, at_front: bool = False) -> None:
        """Enqueue an ended job again, with fresh retries; the old outcome joins its results. One round trip.

        Raises:
            InvalidJobOperation: It has not ended.
            NoSuchJobError: It is gone.
        """
        space = self._space
        [word] = await space.client.run(
            operations.requeue(space.keys, [self.id], nonce=new_nonce(), at_front=at_front)
        )
        if word != "ok":
            raise operations.check_word(self.id, "requeue", word)
        self._result = None
        self._record = self._record.evolve(
            status=JobStatus.QUEUED, started_at=None, ended_at=None, exc_info=None, attempts=None, token=None
        )

    async def delete(self) -> None:
        """Remove the job, its result and its history. One round trip.

        Raises:
            InvalidJobOperation: It runs: stop it first.
            NoSuchJobError: It is gone already.
        """
        space = self._space
        [word] = await space.client.run(operations.delete(space.keys, [self.id], nonce=new_nonce()))
        if word != "ok":
            raise operations.check_word(self.id, "delete", word)


@functools.lru_cache(maxsize=8)
def _stored_fields(queue: str, at_ms: int, word: str) -> Mapping[bytes, bytes]:
    """What enqueue has added to a record: the same for most jobs of a call."""
    at = b"enqueued_at" if word == JobStatus.QUEUED else b"created_at"
    return {b"queue": queue.encode(), b"status": word.encode(), at: b"%d" % at_ms}


async def fetch_jobs(space: Namespace, ids: list[str]) -> list[Job[Any] | None]:
    """`Job.fetch_many` in a namespace that is open already."""
    for job_id in ids:
        check_job_id(job_id)
    jobs: list[Job[Any] | None] = []
    for start in range(0, len(ids), FETCH_CHUNK):
        for found in await space.client.read(lookups.snapshots(space.keys, ids[start : start + FETCH_CHUNK])):
            if found is None or found.record.gone:
                jobs.append(None)
            else:
                jobs.append(Job(found.record, space, found.result))
    return jobs
