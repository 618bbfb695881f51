"""The life of a job: its statuses, the verbs that change them, and where each is filed.

                    save                       +---------------- requeue ----------------+
                  (created)                    v                                         |
  enqueue ----------+---> scheduled --promote--> queued --claim--> started --finish--> finished
     |                                            |  ^               |  |---fail-----> failed
     +--------------------------------------------+  |               |  |---stop-----> stopped
                                                     +-- retry ------+  |---cancel---> canceled
   created, queued, scheduled, deferred                  release     |  +-- recover -> failed (abandoned)
     --cancel--> canceled, --quarantine--> failed        recover ----+
   queued --expire--> expired          any but started --delete--> gone, ended --prune--> gone

`extend` keeps a started job's lease; `amend` changes its meta in any status. Every arrow is
one Lua script, or one mode of it. `TRANSITIONS` is the one table; a test walks each (verb,
status) pair against a real server: listed pairs move, all others change nothing.
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is in its life. Members equal their strings: `job.status == "queued"` holds."""

    #: Saved, not enqueued; in no registry, and its record lives a day.
    CREATED = "created"
    #: Waits for a worker.
    QUEUED = "queued"
    #: A worker runs it and holds its lease.
    STARTED = "started"
    #: Its function returned.
    FINISHED = "finished"
    #: Its function raised and no retries are left, it timed out, or it was abandoned or quarantined.
    FAILED = "failed"
    #: Waits for other jobs.
    DEFERRED = "deferred"
    #: Waits for its due time.
    SCHEDULED = "scheduled"
    #: Stopped while it ran; filed with the failed ones.
    STOPPED = "stopped"
    #: Canceled before it could finish.
    CANCELED = "canceled"
    #: Its ttl passed before a worker could start it.
    EXPIRED = "expired"


#: Statuses in which a job waits.
WAITING = frozenset({JobStatus.QUEUED, JobStatus.SCHEDULED, JobStatus.DEFERRED})

#: Statuses that a job no longer leaves by itself.
ENDED = frozenset(
    {JobStatus.FINISHED, JobStatus.FAILED, JobStatus.STOPPED, JobStatus.CANCELED, JobStatus.EXPIRED}
)

#: The registry that lists the ids of jobs in this status; created ones are in none.
REGISTRY_OF: dict[JobStatus, str] = {
    JobStatus.QUEUED: "queue",
    JobStatus.STARTED: "started",
    JobStatus.FINISHED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.STOPPED: "failed",
    JobStatus.DEFERRED: "deferred",
    JobStatus.SCHEDULED: "scheduled",
    JobStatus.CANCELED: "canceled",
    JobStatus.EXPIRED: "expired",
}

_S = JobStatus

#: verb -> status before (None: no record) -> statuses after (None: no record).
TRANSITIONS: dict[str, dict[JobStatus | None, frozenset[JobStatus | None]]] = {
    "enqueue": dict.fromkeys((None, _S.CREATED, *ENDED), frozenset({_S.QUEUED, _S.SCHEDULED})),
    "save": dict.fromkeys((None, _S.CREATED, *ENDED), frozenset({_S.CREATED})),
    "promote": {_S.SCHEDULED: frozenset({_S.QUEUED})},
    "claim": {_S.QUEUED: frozenset({_S.STARTED})},
    "expire": {_S.QUEUED: frozenset({_S.EXPIRED})},
    "extend": {_S.STARTED: frozenset({_S.STARTED})},
    "finish": {_S.STARTED: frozenset({_S.FINISHED})},
    "fail": {_S.STARTED: frozenset({_S.FAILED})},
    "retry": {_S.STARTED: frozenset({_S.QUEUED, _S.SCHEDULED})},
    "release": {_S.STARTED: frozenset({_S.QUEUED, _S.SCHEDULED})},
    "stop": {_S.STARTED: frozenset({_S.STARTED, _S.STOPPED})},
    "recover": {_S.STARTED: frozenset({_S.QUEUED, _S.SCHEDULED, _S.FAILED, _S.STOPPED, _S.CANCELED})},
    "cancel": {
        **dict.fromkeys((_S.CREATED, *WAITING), frozenset({_S.CANCELED})),
        _S.STARTED: frozenset({_S.STARTED, _S.CANCELED}),
    },
    "quarantine": dict.fromkeys((_S.CREATED, *WAITING), frozenset({_S.FAILED})),
    "requeue": dict.fromkeys(ENDED, frozenset({_S.QUEUED})),
    "delete": dict.fromkeys((_S.CREATED, *WAITING, *ENDED), frozenset({None})),
    "prune": dict.fromkeys(ENDED, frozenset({None})),
    "amend": {status: frozenset({status}) for status in JobStatus},
}
