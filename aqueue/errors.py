"""Every exception that aqueue raises. Each message says what happened, to which job, and what to do.

AqueueError
├── SettingsError (ValueError)       a name, id, duration, priority, function or URL that cannot be used
├── PayloadError (ValueError)        arguments, meta or a result that cannot be encoded, decoded or stored
├── BadSignature                     data that was not written by a holder of the signing key
├── QueueUnavailable                 Redis did not answer in time, or refuses the credentials
├── QueueFull                        Redis is out of memory and takes no new jobs
└── JobError                         carries `job_id`
    ├── NoSuchJobError               no record of that id
    ├── DuplicateJobError            the id belongs to a job that has not ended
    ├── InvalidJobOperation          the job's status does not allow the operation
    ├── EnqueueUncertain             the reply was lost: the job may or may not be in the queue
    │   └── NotReplicated            the job is in the queue, but not as safely as was asked for
    ├── LeaseLost                    another execution owns the job by now
    ├── WaitTimeout (TimeoutError)   the job has not ended in time
    ├── JobFailed                    the job ended failed; `type`, `message`, `traceback`
    │   ├── JobTimeout               it ran longer than its timeout
    │   └── JobProcessDied           its child process was killed, or ended by itself
    ├── JobCanceled                  the job was canceled
    │   └── JobStopped               it was stopped while it ran
    └── JobExpired                   its ttl passed before a worker could start it

JobInterrupted (CancelledError)      raised inside a job that was asked to end; it is no AqueueError
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any


class AqueueError(Exception):
    """The base of every error that aqueue raises."""


class SettingsError(AqueueError, ValueError):
    """A name, id, duration, priority, function or URL that cannot be used; nothing was sent to Redis."""


class PayloadError(AqueueError, ValueError):
    """Arguments, meta or a result that cannot be encoded, decoded, or are over the size limit."""


class BadSignature(AqueueError):
    """Data whose signature does not fit its contents or was made with an unknown key; it was not decoded."""


class BatchError(AqueueError):
    """What `enqueue_many` and its like attach to an error about several jobs."""

    #: Ids of the jobs of this call that are in the queue.
    enqueued: Sequence[str] = ()
    #: Ids of the jobs of this call that are not in the queue, as far as is known.
    not_enqueued: Sequence[str] = ()


class QueueUnavailable(BatchError):
    """Redis could not be reached or did not answer within the time allowed."""

    #: Whether the call may have been carried out: it had been sent, and the reply was lost.
    uncertain: bool = False
    #: Whether Redis answered, and trying again changes nothing: it refuses the credentials, permissions are
    #: lacking, or another node of its cluster has the namespace.
    refused: bool = False
    #: That node, "10.0.0.7:6379", by the word of the one that was asked; "": it did not name it.
    moved_to: str | None = None
    #: What the user lacks, as rules of `ACL SETUSER`: "+hset", "~{aqueue}:*".
    missing: tuple[str, ...] = ()


class QueueFull(BatchError):
    """Redis is out of memory (`maxmemory`) and refused new jobs; running jobs go on and free memory."""


class JobError(AqueueError):
    """An error about one job."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(message)
        #: The id of the job that the error is about.
        self.job_id = job_id

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[JobError], args: tuple[Any, ...], state: dict[str, Any]) -> JobError:
    """Unpickle an error without its constructor, whose parameters differ from class to class."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update({name: value for name, value in state.items() if not callable(value)})
    return error


class NoSuchJobError(JobError):
    """There is no record of this id: never enqueued here, deleted, or past its time to live."""

    def __init__(self, job_id: str, message: str | None = None) -> None:
        super().__init__(
            job_id,
            message
            or f"no job {job_id!r}: it was never enqueued in this namespace, was deleted, or has expired",
        )


class DuplicateJobError(JobError, BatchError):
    """The id belongs to a job that has not ended; the new job was not enqueued."""

    def __init__(self, job_id: str, *, status: str) -> None:
        super().__init__(
            job_id,
            f"a job {job_id!r} exists already and is {status}: choose another job_id, or wait for its end",
        )
        #: The status of the job that holds the id.
        self.status = status


class InvalidJobOperation(JobError):
    """The job's status does not allow the operation; nothing was changed."""

    def __init__(self, job_id: str, *, verb: str, status: str) -> None:
        super().__init__(job_id, f"cannot {verb} job {job_id!r}: it is {status}")
        #: What was asked for.
        self.verb = verb
        #: The status that does not allow it.
        self.status = status


class EnqueueUncertain(JobError, BatchError):
    """The reply to an enqueue was lost: the job may or may not be in the queue.

    `await error.retry()` sends the same call again; it never doubles a job while the record lives.
    By hand with the same id, `DuplicateJobError` means that the first call had landed.
    """

    def __init__(self, job_id: str, *, cause: str) -> None:
        super().__init__(
            job_id,
            f"it is not known whether job {job_id!r} was enqueued ({cause}): "
            "`await error.retry()` repeats the call and never enqueues it twice",
        )
        self._again: Callable[[], Any] | None = None

    def retry(self) -> Any:
        """Send the same enqueue again, with the same nonce, and return what the first call would have.

        To be awaited, unless the call was one of `aqueue.sync`.

        Raises:
            EnqueueUncertain: The reply was lost again.
            QueueUnavailable: Redis cannot be reached.
        """
        if self._again is None:
            raise RuntimeError("this error was copied to another process: enqueue again with the same job_id")
        return self._again()


class NotReplicated(EnqueueUncertain):
    """The job is in the queue, but fewer replicas than asked, or not the disk, confirmed that they have it.

    Workers run it as any other; it is lost if the server dies now. `await error.retry()` waits again, and
    enqueues it again if it is gone.
    """

    def __init__(self, job_id: str, *, durability: str, confirmed: int) -> None:
        super().__init__(job_id, cause="")
        missing = "the disk has not" if durability == "fsync" else f"only {confirmed} replicas have"
        Exception.__init__(
            self,
            f"job {job_id!r} is in the queue, but {missing} confirmed it (durability={durability!r}): "
            "`await error.retry()` waits again and never enqueues it twice",
        )
        #: What was asked for.
        self.durability = durability
        #: How many replicas have it.
        self.confirmed = confirmed


class LeaseLost(JobError):
    """Another execution owns the job, or it has ended: nothing that this one does is recorded."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            job_id, f"this execution no longer holds job {job_id!r}: it was given to another worker or ended"
        )


class WaitTimeout(JobError, TimeoutError):
    """The job has not ended in time; it goes on and may still end later."""

    def __init__(self, job_id: str, *, timeout: float, unanswered: bool = False) -> None:
        known = "Redis did not answer, so it is not known whether it has" if unanswered else "it goes on"
        super().__init__(job_id, f"job {job_id!r} has not ended within {timeout:g} s; {known}")
        #: Seconds waited.
        self.timeout = timeout


class JobFailed(JobError):
    """The job ended failed. The message ends with what the job raised; `traceback` has the whole text."""

    def __init__(self, job_id: str, *, type: str, message: str, traceback: str) -> None:
        super().__init__(
            job_id,
            f"job {job_id!r} failed: {type}: {message}" if message else f"job {job_id!r} failed: {type}",
        )
        #: The name of the exception's class.
        self.type = type
        #: Its message.
        self.message = message
        #: The traceback as text, ending in `type: message`.
        self.traceback = traceback


class JobTimeout(JobFailed):
    """The job ran longer than its timeout and was failed at the deadline."""


class JobProcessDied(JobFailed):
    """The child process that ran the job was killed, or ended by itself; the message says how."""


class JobCanceled(JobError):
    """The job was canceled before it could finish."""

    def __init__(self, job_id: str, message: str | None = None) -> None:
        super().__init__(job_id, message or f"job {job_id!r} was canceled")


class JobStopped(JobCanceled):
    """The job was stopped while it ran."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"job {job_id!r} was stopped while it ran")


class JobExpired(JobError):
    """The job's ttl passed before a worker could start it."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, f"job {job_id!r} expired: its ttl passed before a worker could start it")


class JobInterrupted(asyncio.CancelledError):
    """Raised inside a job that was asked to end, by `raise_if_stopped` or in its child process.

    A cancellation as asyncio knows it, so that `except Exception` lets it pass. It ends the code; the outcome
    is what was asked for, whatever the code does.
    """

    def __init__(self, job_id: str, reason: str) -> None:
        super().__init__(f"job {job_id!r} was asked to end: {reason}")
        #: The job that this code ran for.
        self.job_id = job_id
        #: "timeout", "stop", "cancel", "shutdown" or "lost".
        self.reason = reason
