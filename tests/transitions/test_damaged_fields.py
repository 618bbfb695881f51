"""Numbers that others wrote into records: no script fails on them halfway, and neighbours are served."""

from __future__ import annotations

import pytest

from aqueue._core.outcome import Finished, Lease, Outcome, Released, Retried
from aqueue._redis import operations
from tests.transitions.stage import BOOM, DAY, HOUR, Stage

NONSENSE = ["", "x", "nan", "inf", "1e400", "1.5", "9" * 20, "-" + "9" * 20, b"\xff"]
each_nonsense = pytest.mark.parametrize("nonsense", NONSENSE)


async def _two(stage: Stage) -> list[Lease]:
    """Started jobs "a" and "b"."""
    await stage.add("a", "b")
    return await stage.claim()


def _damage(stage: Stage, nonsense: str | bytes, *fields: str) -> None:
    for field in fields:
        stage.db.hset(stage.keys.job("a"), field, nonsense)


async def _settle(stage: Stage, leases: list[Lease], outcome: Outcome) -> list[str]:
    pairs: list[tuple[Lease, Outcome]] = [(lease, outcome) for lease in leases]
    return list(await stage.run(operations.settle(stage.keys, pairs)))


@pytest.mark.parametrize(
    ("outcome", "registry", "counter"),
    [
        (BOOM, "failed", ""),
        (Retried(BOOM, 0), "queue", "attempts"),
        (Retried(BOOM, HOUR), "scheduled", "attempts"),
        (Released(), "queue", "releases"),
        (Released(HOUR, unknown=True), "scheduled", "misses"),
    ],
)
@each_nonsense
async def test_a_settlement_takes_damaged_numbers_for_none(
    stage: Stage, nonsense: str, outcome: Outcome, registry: str, counter: str
) -> None:
    leases = await _two(stage)
    _damage(stage, nonsense, "failure_ttl", "attempts", "releases", "misses", "priority", "started_at")

    assert await _settle(stage, leases, outcome) == ["ok", "ok"]

    assert sorted(stage.ids(registry)) == ["a", "b"]
    assert stage.ids("started") == []
    if counter:
        assert stage.db.hget(stage.keys.job("a"), counter) == b"1"
    else:
        assert stage.db.pttl(stage.keys.job("a")) > DAY


async def test_the_outcome_of_a_record_without_its_queue_is_lost_and_its_job_found_again(
    stage: Stage,
) -> None:
    leases = await _two(stage)
    stage.db.hdel(stage.keys.job("a"), "queue")

    assert sorted(await _settle(stage, leases, Finished(b"r"))) == ["lost", "ok"]
    await stage.lose()

    assert (stage.ids("finished"), stage.ids("queue"), stage.ids("started")) == (["b"], ["a"], [])


@each_nonsense
async def test_a_recovery_takes_damaged_numbers_for_none(stage: Stage, nonsense: str) -> None:
    await _two(stage)
    _damage(stage, nonsense, "lost", "max_lost", "place", "priority", "failure_ttl")

    assert (await stage.lose()).jobs == {"a": "queued", "b": "queued"}

    assert sorted(stage.ids("queue")) == ["a", "b"]
    assert stage.db.hget(stage.keys.job("a"), "lost") == b"1"


@each_nonsense
async def test_a_damaged_lease_of_a_worker_counts_as_the_usual_one(stage: Stage, nonsense: str) -> None:
    await _two(stage)
    stage.db.hset(stage.keys.worker("worker1"), "lease", nonsense)
    stage.db.zadd(stage.keys.registry("started", "default"), {"a": 2**52})

    await stage.recover()

    assert stage.db.zscore(stage.keys.registry("started", "default"), "a") <= stage.now() + 30_000


@each_nonsense
async def test_a_damaged_ttl_is_none(stage: Stage, nonsense: str) -> None:
    await stage.add("a", "b", delay=1, ttl=HOUR)
    _damage(stage, nonsense, "ttl")
    await stage.age(1)
    await stage.promote()
    assert sorted(stage.ids("queue")) == ["a", "b"]
    assert stage.ids("expiring") == ["b"]

    await stage.cancel("a")
    assert await stage.requeue("a", "b") == ["ok", "queued"]
    assert stage.ids("expiring") == ["b"]


@each_nonsense
async def test_a_beat_or_hold_that_is_no_time_counts_as_none(stage: Stage, nonsense: str) -> None:
    [lease, _] = await _two(stage)
    stage.db.set(stage.keys.heartbeat, nonsense)
    assert list((await stage.extend(lease)).lost) == []
    assert int(stage.db.get(stage.keys.heartbeat)) <= stage.now()

    stage.db.set(stage.keys.hold, nonsense)
    assert (
        await stage.space.client.run(operations.recover(stage.keys, ["default"], lease_ms=30_000))
    ) is not None


async def test_a_running_job_whose_token_is_lost_can_be_asked_to_end(stage: Stage) -> None:
    await _two(stage)
    stage.db.hdel(stage.keys.job("a"), "token")

    assert await stage.cancel("a") == "started"
    assert (await stage.lose()).jobs["a"] == "canceled"


@each_nonsense
async def test_a_last_claim_that_is_no_number_takes_no_job_from_its_worker(
    stage: Stage, nonsense: str
) -> None:
    await stage.add("a")
    stage.db.hset(stage.keys.worker("worker1"), "claim", nonsense)

    assert [lease.job_id for lease in await stage.claim(nonce="7")] == ["a"]
    stage.db.hdel(stage.keys.worker("worker1"), "claimed")
    assert await stage.claim(nonce="7") == []


@each_nonsense
async def test_a_damaged_incarnation_starts_anew(stage: Stage, nonsense: str) -> None:
    await stage.failed("a")
    _damage(stage, nonsense, "incarnation")
    await stage.requeue("a")
    assert stage.db.hget(stage.keys.job("a"), "incarnation") == b"1"

    await stage.cancel("a")
    _damage(stage, nonsense, "incarnation")
    await stage.add("a")
    assert stage.db.hget(stage.keys.job("a"), "incarnation") == b"1"


@pytest.mark.parametrize("status", ["", "\n", "x\ny"])
async def test_a_damaged_status_does_not_shift_the_answers_of_a_repeated_call(
    stage: Stage, status: str
) -> None:
    await stage.failed("b")
    await stage.add("a")
    _damage(stage, status, "status")

    for call in (stage.requeue, stage.delete):
        first = await call("a", "b", nonce=call.__name__)
        assert first == [status.replace("\n", " "), "ok"]
        assert await call("a", "b", nonce=call.__name__) == first
