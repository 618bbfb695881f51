"""aqueue for code without an event loop: Django, Flask, scripts, and plain functions that run as jobs.

The same names, parameters and errors as in `aqueue`, without `await`. Calls go over blocking connections of
their own; in a coroutine they would block its loop, so there they are refused.
"""

from aqueue.sync.current import cancel_job, get_current_job, requeue_job
from aqueue.sync.decorators import job
from aqueue.sync.failed import FailedQueue, get_failed_queue
from aqueue.sync.jobs import Job
from aqueue.sync.queue import Queue

__all__ = [
    "FailedQueue",
    "Job",
    "Queue",
    "cancel_job",
    "get_current_job",
    "get_failed_queue",
    "job",
    "requeue_job",
]
