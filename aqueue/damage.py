"""Every kind of damage that `aqueue doctor` finds in a namespace: what it is, and what mending does about it.

The scripts in `_redis/lua/mend/` find them by these names. None of them arises from aqueue itself, whatever
is killed: they come from other programs, from people, from data that was lost, restored or evicted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of damage."""

    #: What was found.
    found: str
    #: What comes of it.
    why: str
    #: What mending does.
    mending: str


_BARRED = "what belongs there cannot be stored, and what needs it fails"
_UNRUN = "it is never run, nor ended"
_STAYS = "it stays in Redis for ever"
_WRONG = "counts and lists say what is not so"
_EARLY = "it vanishes before its time"
_ORDER = "jobs are started in the wrong order"

_ASIDE = "move it aside, to aside:<time>:<its name>; nothing of others is deleted"
_FAIL = "fail the job with this reason, so that it can be looked at and requeued"
_UNLIST = "take it off that list"
_LIMIT = "give it one"

KINDS: dict[str, Kind] = {
    # what others wrote
    "foreign_type": Kind("a key of another type stands where one of ours belongs", _BARRED, _ASIDE),
    "foreign_record": Kind(
        "a hash with nothing of a job in it stands where a record belongs", _BARRED, _ASIDE
    ),
    "foreign_name": Kind(
        "a key of a job or queue whose name nobody can have given", "no call can name it", _ASIDE
    ),
    # records
    "status_missing": Kind("a job's record has lost its status", _UNRUN, _FAIL),
    "status_unknown": Kind("a job's status is none that we know", _UNRUN, _FAIL),
    "no_queue": Kind(
        "a job's record has lost the name of its queue",
        _UNRUN,
        "take it from the registry that lists the job; where none does, fail the job, in queue default",
    ),
    "number": Kind(
        "a field of a record holds something else than a number",
        "calls that need it fail",
        "remove the field; where the job waits and was enqueued with it, fail the job with this reason",
    ),
    # registries
    "unfiled_queued": Kind(
        "a queued job is in no queue", _UNRUN, "put it into its queue, behind its priority"
    ),
    "unfiled_started": Kind(
        "a started job has no lease", _UNRUN, "give it one: if nobody holds it, it runs again then"
    ),
    "unfiled_scheduled": Kind("a scheduled job has no due time", _UNRUN, "make it due now"),
    "unfiled_deferred": Kind(
        "a deferred job is in no registry", _WRONG, "list it by the time of its creation"
    ),
    "unfiled_ended": Kind(
        "an ended job is in no registry", _WRONG, "list it, to be removed when its time has passed"
    ),
    "dangling": Kind("a registry lists a job of which there is no record", _WRONG, _UNLIST),
    "misfiled": Kind("a registry lists a job that belongs elsewhere by its record", _WRONG, _UNLIST),
    # scores
    "score_queued": Kind(
        "a waiting job has a place that its priority cannot have", _ORDER, "put it behind its priority"
    ),
    "score_started": Kind("a lease ends far ahead, or at no time", _UNRUN, "let it end one lease from now"),
    "score_scheduled": Kind("a due time is no time", _UNRUN, "make the job due now"),
    "score_deferred": Kind(
        "a deferred job is listed at no time", _WRONG, "list it by the time of its creation"
    ),
    "score_ended": Kind("an ended job is to be removed at a wrong time", _STAYS, "count from when it ended"),
    "counter": Kind("a counter of a queue is no number", _WRONG, "let it start anew"),
    "counter_behind": Kind(
        "a queue would give a place that a job has", _ORDER, "count on from the last place"
    ),
    # the ttl of waiting jobs
    "no_deadline": Kind("a waiting job has a ttl that nobody watches", "it never expires", "watch it"),
    "stray_deadline": Kind(
        "a ttl is watched of a job that does not wait, or has none", _WRONG, "watch it no more"
    ),
    "score_deadline": Kind(
        "a ttl ends at no time", "it expires at once, or never", "count from when it was enqueued"
    ),
    # TTLs of keys
    "ttl_live": Kind("the record of a job that is to live on has a TTL", _EARLY, "remove the TTL"),
    "ttl_ended": Kind("the record of an ended job has no TTL, or a wrong one", _STAYS, _LIMIT),
    "ttl_saved": Kind("the record of a saved job has no TTL", _STAYS, "let it live a day"),
    "ttl_gone": Kind("what is left of a job without a result has no TTL", _STAYS, "let it live a minute"),
    "ttl_history": Kind("the history of a job does not end with its record", _STAYS, "let both end together"),
    "result_ttl": Kind("a result has no TTL though it is to be removed", _STAYS, _LIMIT),
    "reply_ttl": Kind("the remembered answer to a call has no TTL", _STAYS, "let it live a minute"),
    # what belongs to jobs
    "result_orphan": Kind("a result of which there is no finished job", _STAYS, "remove it"),
    "history_orphan": Kind("a history of which there is no job", _STAYS, "remove it"),
    "history_long": Kind("a history of more than 9 executions", _STAYS, "keep the last 9"),
    # queues
    "queue_unlisted": Kind(
        "a queue has jobs and is not on the list of queues", "workers do not look after it", "put it there"
    ),
    "queue_name": Kind("a name on the list of queues that no queue can have", _WRONG, _UNLIST),
    "wake_long": Kind("more than one wake token of a queue", "workers wake in vain", "leave one"),
    "wake_paused": Kind("a wake token of a paused queue", "workers wake in vain", "remove it"),
    # workers
    "worker_unlisted": Kind("a worker that beats is not on the list of workers", _WRONG, "put it there"),
    "worker_gone": Kind("a worker is on the list of workers without a record", _WRONG, _UNLIST),
    "worker_ttl": Kind("the record of a worker has no TTL", _STAYS, _LIMIT),
    "worker_score": Kind("a worker is listed for far longer than its record", _WRONG, "list it as long"),
    "clock": Kind(
        "the last beat, or the hold of recovery, is no time or far ahead",
        "lost jobs are not found again",
        "remove it: the next beat sets it anew",
    ),
}

#: Seen and left alone, no damage: keys under our prefix of a kind that this version does not know.
UNKNOWN_KEY = "unknown_key"
