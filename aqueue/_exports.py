"""The public names of `aqueue`, and nothing else; `aqueue/__init__.py` loads them at their first use."""

from aqueue._core.json_serializer import JsonSerializer
from aqueue._core.options import Retry
from aqueue._core.status import JobStatus
from aqueue.calls import EnqueueCall
from aqueue.connection import pop_connection, push_connection, use_connection
from aqueue.current import cancel_job, get_current_job, requeue_job
from aqueue.decorators import job
from aqueue.errors import (
    AqueueError,
    BadSignature,
    DuplicateJobError,
    EnqueueUncertain,
    InvalidJobOperation,
    JobCanceled,
    JobError,
    JobExpired,
    JobFailed,
    JobInterrupted,
    JobProcessDied,
    JobStopped,
    JobTimeout,
    LeaseLost,
    NoSuchJobError,
    NotReplicated,
    PayloadError,
    QueueFull,
    QueueUnavailable,
    SettingsError,
    WaitTimeout,
)
from aqueue.failed import FailedQueue, get_failed_queue
from aqueue.jobs import Job
from aqueue.middleware import EnqueueMiddleware, JobMiddleware
from aqueue.queue import Queue
from aqueue.result import Result
from aqueue.worker.worker import Worker
from aqueue.workers import WorkerInfo

__version__ = "0.1.0"

__all__ = [
    "AqueueError",
    "BadSignature",
    "DuplicateJobError",
    "EnqueueCall",
    "EnqueueMiddleware",
    "EnqueueUncertain",
    "FailedQueue",
    "InvalidJobOperation",
    "Job",
    "JobCanceled",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobInterrupted",
    "JobMiddleware",
    "JobProcessDied",
    "JobStatus",
    "JobStopped",
    "JobTimeout",
    "JsonSerializer",
    "LeaseLost",
    "NoSuchJobError",
    "NotReplicated",
    "PayloadError",
    "Queue",
    "QueueFull",
    "QueueUnavailable",
    "Result",
    "Retry",
    "SettingsError",
    "WaitTimeout",
    "Worker",
    "WorkerInfo",
    "__version__",
    "cancel_job",
    "get_current_job",
    "get_failed_queue",
    "job",
    "pop_connection",
    "push_connection",
    "requeue_job",
    "use_connection",
]
