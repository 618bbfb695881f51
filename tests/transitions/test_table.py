"""Every verb against every status: `TRANSITIONS` is what the scripts do, and they do nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aqueue._core.outcome import Canceled, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.record import JobRecord
from aqueue._core.status import REGISTRY_OF, TRANSITIONS, JobStatus
from aqueue._redis import operations
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from tests.transitions.stage import BOOM, HOUR, REGISTRIES, Stage, new_job

#: What a call may leave behind that is no job: the worker's own record, beats, answers, tokens.
ASIDE = ("reply:*", "wake:*", "worker:*", "workers", "heartbeat", "hold")
#: The lease of who never held one.
STRANGER = Lease(JobRecord("a", {b"queue": b"default"}), "worker1:none:1")

Verb = Callable[[Stage, Lease], Awaitable[Any]]


def _settle(outcome: Outcome) -> Verb:
    return lambda stage, lease: stage.settle(lease, outcome)


def _cancel(mode: str) -> Verb:
    return lambda stage, lease: stage.cancel("a", mode=mode, error_type="E", error_message="m")


async def _recover(stage: Stage, lease: Lease) -> None:
    await stage.lose()


async def _lose_a_canceled_one(stage: Stage, lease: Lease) -> None:
    if stage.status("a") == "started":
        await stage.cancel("a")
    await stage.lose()


async def _abandon(stage: Stage, lease: Lease) -> None:
    if stage.status("a") == "started":
        stage.db.hset(stage.keys.job("a"), "max_lost", 0)
    await stage.lose()


async def _amend(stage: Stage, lease: Lease) -> None:
    await stage.run(operations.amend(stage.keys, "a", b"new"))


async def _promote(stage: Stage, lease: Lease) -> None:
    _overdue(stage, "scheduled")
    await stage.promote()


async def _expire(stage: Stage, lease: Lease) -> None:
    _overdue(stage, "expiring")
    await stage.prune()


async def _prune(stage: Stage, lease: Lease) -> None:
    for registry in ("finished", "failed", "canceled", "expired"):
        _overdue(stage, registry)
    await stage.prune()


def _overdue(stage: Stage, registry: str) -> None:
    """Let the time of everything that this registry lists have passed."""
    stage.db.zadd(stage.keys.registry(registry, "default"), {"a": 1}, xx=True)


#: (verb, form of it) -> the call.
CALLS: dict[tuple[str, str], Verb] = {
    ("enqueue", ""): lambda stage, lease: stage.enqueue(new_job("a")),
    ("enqueue", "front"): lambda stage, lease: stage.enqueue(new_job("a", mode="front")),
    ("enqueue", "later"): lambda stage, lease: stage.enqueue(new_job("a", delay=HOUR)),
    ("save", ""): lambda stage, lease: stage.enqueue(new_job("a", mode="save")),
    ("promote", ""): _promote,
    ("claim", ""): lambda stage, lease: stage.claim(),
    ("expire", ""): _expire,
    ("extend", ""): lambda stage, lease: stage.extend(lease),
    ("finish", ""): _settle(Finished(b"r")),
    ("fail", ""): _settle(BOOM),
    ("retry", ""): _settle(Retried(BOOM, 0)),
    ("retry", "later"): _settle(Retried(BOOM, HOUR)),
    ("release", ""): _settle(Released()),
    ("release", "later"): _settle(Released(HOUR, unknown=True)),
    ("stop", ""): _cancel("stop"),
    ("stop", "settle"): _settle(Stopped()),
    ("recover", ""): _recover,
    ("recover", "canceled"): _lose_a_canceled_one,
    ("recover", "abandoned"): _abandon,
    ("cancel", ""): _cancel("cancel"),
    ("cancel", "settle"): _settle(Canceled()),
    ("quarantine", ""): _cancel("quarantine"),
    ("requeue", ""): lambda stage, lease: stage.requeue("a"),
    ("requeue", "front"): lambda stage, lease: stage.requeue("a", at_front=True),
    ("delete", ""): lambda stage, lease: stage.delete("a"),
    ("prune", ""): _prune,
    ("amend", ""): _amend,
}
#: Forms of a verb that only the holder of a lease has; from other statuses they are no pair of the table.
BY_HOLDER = {("cancel", "settle"), ("stop", "settle")}
STATUSES: list[JobStatus | None] = [None, *JobStatus]
PAIRS = [(verb, form, status) for verb, form in CALLS for status in STATUSES]


def _is_listed(verb: str, form: str, status: JobStatus | None) -> bool:
    return status in TRANSITIONS[verb] and ((verb, form) not in BY_HOLDER or status == "started")


async def _call(stage: Stage, verb: str, form: str, status: JobStatus | None) -> None:
    lease = await stage.make(status) or STRANGER
    if status is not JobStatus.STARTED:
        lease = STRANGER
    await CALLS[verb, form](stage, lease)


def test_every_verb_of_the_table_is_called() -> None:
    assert {verb for verb, _ in CALLS} == TRANSITIONS.keys()


@pytest.mark.parametrize(("verb", "form", "status"), [pair for pair in PAIRS if _is_listed(*pair)])
async def test_a_listed_pair_ends_in_a_listed_status(
    stage: Stage, verb: str, form: str, status: JobStatus | None
) -> None:
    await _call(stage, verb, form, status)

    after = stage.status("a")
    assert after in TRANSITIONS[verb][status]
    registry = REGISTRY_OF.get(JobStatus(after)) if after else None
    assert stage.where("a") == ([registry] if registry else [])
    assert stage.score("expiring", "a") is None or after == "queued"


@pytest.mark.parametrize(("verb", "form", "status"), [pair for pair in PAIRS if not _is_listed(*pair)])
async def test_an_unlisted_pair_changes_nothing(
    stage: Stage, verb: str, form: str, status: JobStatus | None
) -> None:
    await stage.make(status)
    if verb in {"promote", "expire", "prune", "recover"}:
        await _call_maintenance(stage, verb, form)
        return
    before = stage.digest(*ASIDE)
    try:
        await CALLS[verb, form](stage, STRANGER)
    except (InvalidJobOperation, NoSuchJobError):
        pass
    assert stage.digest(*ASIDE) == before


async def _call_maintenance(stage: Stage, verb: str, form: str) -> None:
    """These look at what is overdue, and making it so is no change of theirs."""
    clocked = [f"{registry}:*" for registry in (*REGISTRIES, "expiring") if registry != "queue"]
    members = {name: stage.ids(name) for name in REGISTRIES}
    before = stage.digest(*ASIDE, *clocked)
    await CALLS[verb, form](stage, STRANGER)

    assert stage.digest(*ASIDE, *clocked) == before
    assert {name: stage.ids(name) for name in REGISTRIES} == members


async def test_each_target_of_the_table_is_reached(stage: Stage) -> None:
    reached: dict[str, set[str | None]] = {verb: set() for verb in TRANSITIONS}
    for verb, form, status in PAIRS:
        if _is_listed(verb, form, status):
            await _call(stage, verb, form, status)
            reached[verb].add(stage.status("a"))
            stage.db.delete(stage.keys.absent, *stage.db.scan_iter(match=stage.keys.prefix + "*", count=1000))

    everything = {verb: set[Any]().union(*targets.values()) for verb, targets in TRANSITIONS.items()}
    everything["recover"] -= {"scheduled", "stopped"}  # see test_recover
    assert reached == everything
