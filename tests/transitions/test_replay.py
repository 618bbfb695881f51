"""Every call may be repeated, because its reply was lost: same answer, and nothing changes again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aqueue._core.outcome import Finished, Outcome, Released, Retried
from aqueue._core.status import ENDED, JobStatus
from aqueue._redis import operations
from aqueue._redis.operations import Operation
from tests.transitions.stage import BOOM, HOUR, Stage, each_outcome, new_job


async def replay(stage: Stage, operation: Operation[Any], *skip: str) -> Any:
    """Call five times; the first answer, which all others equal. Nothing changes after the first call."""
    first = await stage.run(operation)
    after = stage.digest(*skip)
    for _ in range(4):
        assert await stage.run(operation) == first
        assert stage.digest(*skip) == after
    return first


def test_every_script_is_replayed() -> None:
    calls = {f"operations.{'list_ids' if name == 'list' else name}(" for name in operations._SCRIPTS}
    text = Path(__file__).read_text()

    assert {call for call in calls if call not in text} == set()


# -- each script, at once


async def test_enqueue(stage: Stage) -> None:
    await stage.failed("ended")
    await stage.add("live")
    jobs = [
        new_job("a", ttl=HOUR), new_job("front", mode="front"), new_job("later", delay=HOUR),
        new_job("saved", mode="save"), new_job("ended"), new_job("live"),
    ]  # fmt: skip
    stored = await stage.run(operations.enqueue(stage.keys, "default", jobs))
    after = stage.digest()

    for _ in range(4):
        again = await stage.run(operations.enqueue(stage.keys, "default", jobs))
        assert again.words == stored.words
        assert stage.digest() == after
    assert stored.words == ["queued", "queued", "scheduled", "created", "queued", "duplicate queued"]


async def test_enqueue_with_an_id_that_was_made_for_the_call(stage: Stage) -> None:
    """Such an id needs no nonce."""
    call = operations.enqueue(stage.keys, "default", [new_job("a", nonce=""), new_job("b", nonce="")])
    stored = await stage.run(call)
    [lease, _] = await stage.claim()
    await stage.settle(lease, Finished(None))
    after = stage.digest()

    assert stored.words == ["queued", "queued"]
    assert (await stage.run(call)).words == ["finished", "started"]
    assert stage.digest() == after
    assert await stage.enqueue(new_job("b")) == ["duplicate started"]


def _claim(stage: Stage, *queues: str, limit: int = 10, nonce: str = "n1") -> Operation[operations.Claimed]:
    return operations.claim(
        stage.keys,
        queues or ("default",),
        worker_id="w1",
        name="london",
        nonce=nonce,
        limit=limit,
        lease_ms=30_000,
    )


async def _claim_again(stage: Stage, operation: Operation[operations.Claimed]) -> list[tuple[str, str]]:
    """What a replayed claim hands out; it changes nothing."""
    before = stage.digest()
    claimed = await stage.space.client.run(operation)
    assert stage.digest() == before
    return [(lease.job_id, lease.token) for lease in claimed.leases]


async def test_claim(stage: Stage) -> None:
    await stage.add("a", "b", "c", ttl=HOUR)
    await stage.add("d", queue="other")
    await stage.add("due", delay=1000)
    await stage.age(5)
    operation = _claim(stage, "default", "other", limit=3)
    first = await stage.space.client.run(operation)
    after = stage.digest()

    for _ in range(4):
        again = await stage.space.client.run(operation)
        assert [(x.token, x.record.fields) for x in again.leases] == [
            (x.token, x.record.fields) for x in first.leases
        ]
        assert (again.more, stage.digest()) == (first.more, after)
    assert [lease.job_id for lease in first.leases] == ["a", "b", "c"]


async def test_claim_of_nothing(stage: Stage) -> None:
    await stage.run(_claim(stage))
    await stage.add("a")

    assert await _claim_again(stage, _claim(stage)) == []
    assert stage.where("a") == ["queue"]


async def test_promote(stage: Stage) -> None:
    await stage.add("a", "b", delay=1000, ttl=HOUR)
    await stage.age(5)
    await replay(stage, operations.promote(stage.keys, ["default"]))

    assert stage.ids("queue") == ["a", "b"]


async def test_extend_moves_nothing_but_the_deadlines_and_the_beat(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.cancel("a")
    other = await stage.finished("b")
    operation = operations.extend(
        stage.keys, [lease, other], worker_id="worker1", lease_ms=30_000, facts={"pid": 1}
    )
    extended = await replay(stage, operation, "heartbeat", "workers", "worker:*", "started:*")

    assert (extended.lost, extended.asked, stage.ids("started")) == (["b"], {"a": "cancel"}, ["a"])


@each_outcome
async def test_settle(stage: Stage, outcome: Outcome) -> None:
    await stage.add("neighbour", delay=HOUR)
    lease = await stage.start("a")

    assert await replay(stage, operations.settle(stage.keys, [(lease, outcome)])) == ["ok"]


@pytest.mark.parametrize("outcome", [Retried(BOOM, 0), Retried(BOOM, 99), Released()])
async def test_settle_of_a_job_that_was_asked_to_end(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.start("a")
    await stage.cancel("a", mode="stop")

    assert await replay(stage, operations.settle(stage.keys, [(lease, outcome)])) == ["stopped"]


@each_outcome
async def test_settle_of_a_lease_that_is_lost(stage: Stage, outcome: Outcome) -> None:
    lease = await stage.start("a")
    await stage.lose()

    assert await replay(stage, operations.settle(stage.keys, [(lease, outcome)])) == ["lost"]


async def test_settle_with_a_result_that_is_not_kept(stage: Stage) -> None:
    lease = await stage.start("a", result_ttl=0)

    assert await replay(stage, operations.settle(stage.keys, [(lease, Finished(b"r"))])) == ["ok"]


async def test_recover_takes_each_lease_once(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.claim()
    await stage.lose()
    await stage.claim()
    await stage.age(60)
    assert len((await stage.recover()).jobs) == 2
    after = stage.digest()

    again = await stage.run(operations.recover(stage.keys, ["default"], lease_ms=30_000))
    assert (again.jobs, stage.digest()) == ({}, after)


async def test_recover_while_it_is_held_back(stage: Stage) -> None:
    await stage.start("a")
    recovered = await replay(stage, operations.recover(stage.keys, ["default"], lease_ms=30_000))

    assert recovered.hold


@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("mode", ["cancel", "stop", "quarantine"])
async def test_cancel(stage: Stage, mode: str, status: JobStatus) -> None:
    await stage.make(status)
    call = operations.cancel(stage.keys, "a", nonce="n1", mode=mode, error_type="E", error_message="m")

    await replay(stage, Operation(call.script, call.keys, call.args, lambda reply: reply))


async def test_requeue(stage: Stage) -> None:
    await stage.failed("a")
    await stage.finished("b", b"r")
    await stage.add("c")
    operation = operations.requeue(stage.keys, ["a", "b", "c", "unknown", "a"], nonce="n1", at_front=True)

    assert await replay(stage, operation) == ["ok", "ok", "queued", "missing", "queued"]


async def test_delete(stage: Stage) -> None:
    await stage.failed("a")
    await stage.start("b")
    operation = operations.delete(stage.keys, ["a", "b", "unknown", "a"], nonce="n1")

    assert await replay(stage, operation) == ["ok", "started", "missing", "missing"]


async def test_prune_and_expire(stage: Stage) -> None:
    await stage.failed("failed")
    await stage.finished("finished", b"r")
    await stage.add("waiting", ttl=1000)
    await stage.age(HOUR)
    await replay(stage, operations.prune(stage.keys, ["default"]))

    assert (stage.ids("finished"), stage.ids("expired"), stage.ids("failed")) == ([], ["waiting"], ["failed"])


async def test_amend(stage: Stage) -> None:
    lease = await stage.start("a")
    await replay(stage, operations.amend(stage.keys, "a", b"meta", token=lease.token))
    await replay(stage, operations.amend(stage.keys, "a", b"meta"))


@pytest.mark.parametrize("paused", [True, False])
async def test_pause_and_resume(stage: Stage, paused: bool) -> None:
    await stage.add("a")
    await stage.pause(paused=not paused)
    await replay(stage, operations.pause(stage.keys, "default", paused=paused))


async def test_drop(stage: Stage) -> None:
    await stage.add("a", queue="used")
    await stage.pause()

    assert await replay(stage, operations.drop(stage.keys, "used")) is False
    assert await replay(stage, operations.drop(stage.keys, "default")) is True


async def test_leave(stage: Stage) -> None:
    await stage.extend(worker_id="w1")
    await replay(stage, operations.leave(stage.keys, "w1"))


async def test_reads_never_change_anything(stage: Stage) -> None:
    await stage.add("old", ttl=1000)
    await stage.age(60)
    await stage.add("a", "b")
    await stage.failed("c", queue="other")
    before = stage.digest()

    assert await replay(stage, operations.count(stage.keys, [("queue", "default"), ("failed", "other")])) == [
        2,
        1,
    ]
    page = operations.list_ids(stage.keys, "queue", "default", offset=0, limit=10, newest=True)
    assert await replay(stage, page) == ["b", "a"]
    assert await replay(stage, operations.position(stage.keys, "default", "b")) == 1
    assert stage.digest() == before


# -- and after later transitions


@pytest.mark.parametrize("status", [*sorted(ENDED), JobStatus.STARTED])
async def test_an_enqueue_repeated_later_tells_what_has_become_of_the_job(
    stage: Stage, status: JobStatus
) -> None:
    await stage.make(status)
    same = new_job("a", nonce=stage.job("a").nonce)
    before = stage.digest()

    assert await stage.enqueue(same) == [status]
    assert stage.digest() == before


async def test_a_duplicate_in_a_repeated_enqueue_stays_one_when_the_first_has_ended(stage: Stage) -> None:
    call = operations.enqueue(stage.keys, "default", [new_job("a"), new_job("a")])
    assert (await stage.run(call)).words == ["queued", "duplicate queued"]
    [lease] = await stage.claim()
    await stage.settle(lease, Finished(None))
    after = stage.digest()

    assert (await stage.run(call)).words == ["finished", "duplicate finished"]
    assert stage.digest() == after


async def test_an_enqueue_repeated_after_a_result_that_was_not_kept_runs_nothing_twice(stage: Stage) -> None:
    await stage.finished("a", nonce="n1", result_ttl=0)
    before = stage.digest()

    assert await stage.enqueue(new_job("a", nonce="n1")) == ["finished"]
    assert stage.digest() == before


async def test_an_enqueue_repeated_after_a_requeue_changes_nothing(stage: Stage) -> None:
    await stage.failed("a", nonce="n1")
    await stage.requeue("a")
    before = stage.digest()

    assert await stage.enqueue(new_job("a", nonce="n1")) == ["queued"]
    assert stage.digest() == before


async def test_a_claim_repeated_after_a_settle_hands_out_the_others(stage: Stage) -> None:
    await stage.add("a", "b")
    leases = (await stage.space.client.run(_claim(stage))).leases
    await stage.settle(leases[0], Finished(None))

    assert await _claim_again(stage, _claim(stage)) == [("b", leases[1].token)]


@pytest.mark.parametrize("taken", [False, True])
async def test_a_claim_repeated_after_recovery_does_not_hand_out_the_lost_job(
    stage: Stage, taken: bool
) -> None:
    await stage.add("a", "b")
    (first,) = (await stage.space.client.run(_claim(stage, limit=1))).leases
    await stage.lose()
    if taken:
        await stage.claim(limit=1, worker_id="w2")

    assert first.job_id == "a"
    assert await _claim_again(stage, _claim(stage, limit=1)) == []


async def test_a_claim_repeated_after_the_job_is_gone_or_damaged_goes_without_it(stage: Stage) -> None:
    await stage.add("a", "b", "c")
    await stage.run(_claim(stage))
    stage.db.delete(stage.keys.job("a"))
    stage.db.set(stage.keys.job("b"), "foreign")

    assert [job_id for job_id, _ in await _claim_again(stage, _claim(stage))] == ["c"]


async def test_another_nonce_or_another_worker_claims_other_jobs(stage: Stage) -> None:
    await stage.add("a", "b", "c")
    await stage.run(_claim(stage, limit=1))
    await stage.run(_claim(stage, limit=1, nonce="n2"))
    (lease,) = await stage.claim(worker_id="w2", nonce="n2")

    assert lease.job_id == "c"


async def test_a_retry_repeated_while_another_worker_runs_the_job_changes_nothing(stage: Stage) -> None:
    operation = operations.settle(stage.keys, [(await stage.start("a"), Retried(BOOM, 0))])
    await stage.run(operation)
    (second,) = await stage.claim(worker_id="worker2")
    before = stage.digest()

    assert await stage.run(operation) == ["ok"]
    assert stage.digest() == before
    assert await stage.settle(second, Finished(None)) == "ok"
    assert await stage.run(operation) == ["ok"]


async def test_a_retry_repeated_after_another_retry_is_lost_and_changes_nothing(stage: Stage) -> None:
    operation = operations.settle(stage.keys, [(await stage.start("a"), Retried(BOOM, 0))])
    await stage.run(operation)
    (second,) = await stage.claim()
    await stage.settle(second, Released())
    before = stage.digest()

    assert await stage.run(operation) == ["lost"]
    assert stage.digest() == before


async def test_a_finish_repeated_after_a_requeue_is_lost_and_changes_nothing(stage: Stage) -> None:
    lease = await stage.finished("a", b"r")
    await stage.requeue("a")
    before = stage.digest()

    assert await stage.settle(lease, Finished(b"r")) == "lost"
    assert stage.digest() == before


async def test_a_finish_repeated_after_pruning_is_lost_and_changes_nothing(stage: Stage) -> None:
    lease = await stage.finished("a")
    await stage.age(HOUR)
    await stage.prune()

    assert await stage.settle(lease, Finished(None)) == "lost"
    assert stage.db.exists(stage.keys.job("a")) == 0


async def test_a_recover_repeated_after_the_job_was_claimed_again_leaves_it_alone(stage: Stage) -> None:
    await stage.start("a")
    await stage.lose()
    (lease,) = await stage.claim()

    assert (await stage.recover()).jobs == {}
    assert stage.job("a").token == lease.token


async def test_a_request_repeated_after_the_job_has_ended_gets_its_first_answer(stage: Stage) -> None:
    lease = await stage.start("a")
    assert await stage.cancel("a", nonce="n1") == "started"
    await stage.settle(lease, Finished(None))

    assert await stage.cancel("a", nonce="n1") == "started"


LATER: list[tuple[str, Callable[[Stage], Awaitable[Any]]]] = [
    ("requeue", lambda stage: stage.requeue("a", nonce="n1")),
    ("delete", lambda stage: stage.delete("a", nonce="n1")),
    ("cancel", lambda stage: stage.cancel("a", nonce="n1")),
]


@pytest.mark.parametrize(("verb", "call"), LATER, ids=[verb for verb, _ in LATER])
async def test_a_call_repeated_after_the_id_began_anew_does_not_touch_it(
    stage: Stage, verb: str, call: Callable[[Stage], Awaitable[Any]]
) -> None:
    await stage.make(JobStatus.QUEUED if verb == "cancel" else JobStatus.FAILED)
    answer = await call(stage)
    await stage.claim()
    await stage.lose()
    if verb != "requeue":
        await stage.add("a")
    before = stage.digest()

    assert await call(stage) == answer
    assert stage.digest() == before


async def test_an_answer_is_remembered_for_a_minute(stage: Stage) -> None:
    await stage.add("a")
    await stage.cancel("a", nonce="n1")

    assert 55_000 < stage.ttl(stage.keys.reply("n1")) <= 60_000
