"""claim: queued -> started under a lease; what it passes over, and whom it wakes."""

from __future__ import annotations

from aqueue._redis.operations import BATCH_BYTES
from tests import support
from tests.transitions.stage import HOUR, Stage, new_job


async def test_a_claimed_job_is_started_under_a_lease_with_a_token(stage: Stage) -> None:
    await stage.add("a")
    (lease,) = await stage.claim(worker_id="w1", name="london", nonce="n1", lease_ms=20_000)

    assert lease.token == "w1:n1:1"
    job = stage.job("a")
    assert (job.status, job.token, job.fence, job.worker_name) == ("started", "w1:n1:1", 1, "london")
    assert stage.where("a") == ["started"]
    assert 15_000 < stage.left("started", "a") <= 20_000
    assert stage.ttl(stage.keys.job("a")) == -1


async def test_a_lease_carries_the_record_as_it_is_stored_but_for_its_place(stage: Stage) -> None:
    await stage.add("a", data=bytes(range(256)), meta=b"m")
    (lease,) = await stage.claim()

    assert {**lease.record.fields, b"place": b"1"} == stage.job("a").fields


async def test_a_worker_named_by_its_uuid_is_stored_once(stage: Stage) -> None:
    await stage.start("a")

    assert stage.job("a").named_worker is None
    assert stage.job("a").worker_name == "worker1"


async def test_a_claim_leaves_its_nonce_its_lease_and_a_ttl_in_the_workers_record(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.claim(nonce="n1", lease_ms=10_000)

    record = stage.db.hgetall(stage.keys.worker("worker1"))
    assert record == {b"claim": b"n1", b"claimed": b"a b", b"lease": b"10000"}
    assert 3_635_000 < stage.ttl(stage.keys.worker("worker1")) <= 3_640_000


async def test_a_claim_is_remembered_through_an_outage_of_an_hour(stage: Stage) -> None:
    """Else a claim whose reply was lost at its beginning would leave jobs behind that nobody runs."""
    await stage.claim(nonce="n1", lease_ms=1000)
    await stage.extend(worker_id="worker1", lease_ms=1000)

    assert stage.ttl(stage.keys.worker("worker1")) >= 3_600_000


async def test_a_claim_that_arrives_after_a_later_one_takes_nothing(stage: Stage) -> None:
    """The network kept it back; its worker has repeated it long ago, and would run nothing that it brings."""
    await stage.claim(nonce="9")
    await stage.claim(nonce="10")
    await stage.add("a")

    assert await stage.claim(nonce="9") == []
    assert stage.where("a") == ["queue"]
    assert [lease.job_id for lease in await stage.claim(nonce="11")] == ["a"]


async def test_a_claim_takes_no_more_than_asked_for(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"j{n}") for n in range(5)))

    assert len(await stage.claim(limit=3)) == 3
    assert len(stage.ids("queue")) == 2
    assert await stage.claim(limit=0) == []
    assert len(stage.ids("queue")) == 2


async def test_a_hundred_jobs_come_in_one_claim(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"a{n}", ttl=HOUR) for n in range(100)))
    await stage.add("one-more")

    assert len(await stage.claim(limit=100)) == 100
    assert (stage.ids("queue"), stage.ids("expiring")) == (["one-more"], [])


async def test_a_claim_brings_at_most_four_mebibytes_of_arguments(stage: Stage) -> None:
    half = b"x" * (BATCH_BYTES // 2)
    await stage.enqueue(*(new_job(name, data=half) for name in ("a", "b", "c")))

    assert [lease.job_id for lease in await stage.claim()] == ["a", "b"]
    assert stage.ids("queue") == ["c"]


async def test_jobs_that_are_left_for_their_bytes_wake_a_worker(stage: Stage) -> None:
    half = b"x" * (BATCH_BYTES // 2)
    await stage.enqueue(*(new_job(name, data=half) for name in ("a", "b", "c")))
    stage.drain()

    claimed = await support.claim(stage.space)

    assert (len(claimed.leases), claimed.more, stage.tokens()) == (2, True, 1)


async def test_a_queue_that_was_emptied_is_not_counted_again(stage: Stage) -> None:
    await stage.add("a")
    stage.db.config_resetstat()

    await stage.claim(limit=2)

    looked_at = ("scheduled", "queue", "started", "expiring")
    assert stage.db.info("commandstats")["cmdstat_zcard"]["calls"] == len(looked_at)


async def test_a_job_over_the_byte_limit_comes_alone(stage: Stage) -> None:
    await stage.enqueue(new_job("big", data=b"x" * (BATCH_BYTES + 1)))
    await stage.add("b")

    assert [lease.job_id for lease in await stage.claim()] == ["big"]
    assert [lease.job_id for lease in await stage.claim()] == ["b"]


async def test_queues_are_served_in_the_order_given(stage: Stage) -> None:
    await stage.add("low1", "low2", queue="low")
    await stage.add("high1", "high2", queue="high")

    assert [lease.job_id for lease in await stage.claim("high", "low", limit=3)] == ["high1", "high2", "low1"]
    assert (stage.where("low1", "low"), stage.where("high1", "high")) == (["started"], ["started"])


async def test_a_queue_whose_first_job_is_over_what_is_left_of_the_bytes_keeps_all(stage: Stage) -> None:
    half = b"x" * (BATCH_BYTES // 2 + 1)
    await stage.add("a", queue="high", data=half)
    await stage.add("b", queue="low", data=half)
    await stage.add("c", queue="low")

    assert [lease.job_id for lease in await stage.claim("high", "low")] == ["a"]
    assert stage.ids("queue", "low") == ["b", "c"]
    assert [lease.job_id for lease in await stage.claim("high", "low")] == ["b", "c"]


async def test_no_queue_is_served_while_bytes_hold_back_a_job_of_one_before_it(stage: Stage) -> None:
    half = b"x" * (BATCH_BYTES // 2)
    await stage.enqueue(*(new_job(name, data=half) for name in ("a", "b", "c")), queue="high")
    await stage.add("small", queue="low")

    assert [lease.job_id for lease in await stage.claim("high", "low")] == ["a", "b"]
    assert [lease.job_id for lease in await stage.claim("high", "low")] == ["c", "small"]


async def test_no_queue_is_served_while_expired_jobs_hide_live_ones_of_one_before_it(stage: Stage) -> None:
    await stage.add("old1", "old2", queue="high", ttl=1000)
    await stage.add("live", queue="high")
    await stage.add("low", queue="low")
    await support.age(stage.space, seconds=60, queues=("high",))
    claimed = await support.claim(stage.space, "high", "low", limit=2)

    assert (claimed.leases, claimed.more) == ([], True)
    assert [lease.job_id for lease in await stage.claim("high", "low", limit=2)] == ["live", "low"]


async def test_a_paused_queue_is_passed_over(stage: Stage) -> None:
    await stage.add("a")
    await stage.add("b", queue="other")
    await stage.pause()
    claimed = await support.claim(stage.space, "default", "other")

    assert [lease.job_id for lease in claimed.leases] == ["b"]
    assert (claimed.more, stage.where("a")) == (False, ["queue"])


async def test_a_job_whose_ttl_has_passed_expires_instead_of_starting(stage: Stage) -> None:
    await stage.add("old", ttl=1000)
    await stage.age(60)
    await stage.add("new", ttl=1000)

    assert [lease.job_id for lease in await stage.claim()] == ["new"]
    assert (stage.status("old"), stage.where("old")) == ("expired", ["expired"])
    assert stage.job("old").ended_at is not None
    assert stage.ids("expiring") == []


async def test_who_waits_for_a_job_hears_that_it_expired(stage: Stage) -> None:
    hear = stage.listen(stage.keys.done_channel("a"))
    await stage.add("a", ttl=1000)
    await stage.age(60)
    await stage.claim()

    assert hear() == "expired"


async def test_a_started_job_no_longer_expires(stage: Stage) -> None:
    await stage.start("a", ttl=1000)

    assert stage.score("expiring", "a") is None


async def test_an_id_whose_record_is_gone_or_says_otherwise_leaves_the_queue(stage: Stage) -> None:
    await stage.add("gone", "finished", "live")
    stage.db.delete(stage.keys.job("gone"))
    stage.db.hset(stage.keys.job("finished"), "status", "finished")

    assert [lease.job_id for lease in await stage.claim()] == ["live"]
    assert (stage.ids("queue"), stage.ids("started")) == ([], ["live"])
    assert stage.db.exists(stage.keys.job("gone")) == 0
    assert stage.status("finished") == "finished"


async def test_a_claim_promotes_what_is_due_first(stage: Stage) -> None:
    await stage.add("a", delay=1000)
    await stage.age(5)

    assert [lease.job_id for lease in await stage.claim()] == ["a"]


async def test_a_claim_tells_when_the_next_scheduled_job_of_any_queue_is_due(stage: Stage) -> None:
    assert (await support.claim(stage.space, "default", "other")).next_ms is None
    await stage.add("a", delay=HOUR)
    await stage.add("b", delay=60_000, queue="other")

    for queues in (("default", "other"), ("other", "default")):
        next_ms = (await support.claim(stage.space, *queues)).next_ms
        assert next_ms is not None
        assert 55_000 < next_ms <= 60_000


async def test_more_due_jobs_than_one_claim_promotes_are_due_at_once(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"j{n}", delay=1000) for n in range(100)))
    await stage.add("last", delay=2000)
    await stage.age(5)

    assert (await support.claim(stage.space, "default", limit=1)).next_ms == 0


async def test_a_claim_that_leaves_jobs_says_so_and_wakes_another_worker(stage: Stage) -> None:
    await stage.add("a", "b")
    stage.drain()
    claimed = await support.claim(stage.space, limit=1)
    assert (claimed.more, stage.tokens()) == (True, 1)

    claimed = await support.claim(stage.space, limit=1)
    assert (claimed.more, stage.tokens()) == (False, 0)


async def test_jobs_left_in_a_second_queue_wake_a_worker_too(stage: Stage) -> None:
    await stage.add("a")
    await stage.add("b", queue="other")
    stage.drain("other")
    await stage.claim("default", "other", limit=1)

    assert (stage.tokens(), stage.tokens("other")) == (0, 1)


async def test_a_claim_without_free_slots_recalls_one_of_the_same_number(stage: Stage) -> None:
    """It stands at Redis, and its worker is about to end."""
    await stage.claim(nonce="5", limit=0)
    await stage.add("a")

    assert await stage.claim(nonce="5") == []
    assert stage.where("a") == ["queue"]


async def test_a_claim_without_free_slots_brings_what_one_of_the_same_number_has_taken(stage: Stage) -> None:
    await stage.add("a")
    (lease,) = await stage.claim(nonce="5")

    assert [again.token for again in await stage.claim(nonce="5", limit=0)] == [lease.token]


async def test_a_standing_claim_takes_nothing_for_a_worker_that_beats_no_more(stage: Stage) -> None:
    await stage.extend()
    await stage.add("a")
    stage.drain()
    stage.db.hincrby(stage.keys.worker("worker1"), "heartbeat", -15_001)

    late = await support.claim(stage.space, nonce="5", alive_ms=15_000)

    assert (late.leases, late.more, stage.tokens()) == ([], True, 1)  # another worker is woken
    assert stage.where("a") == ["queue"]
    assert stage.db.hget(stage.keys.worker("worker1"), "claim") is None
    assert [lease.job_id for lease in await stage.claim(nonce="5")] == ["a"]


async def test_a_standing_claim_takes_nothing_for_a_worker_without_a_record(stage: Stage) -> None:
    await stage.add("a")

    assert await stage.claim(nonce="5", alive_ms=15_000) == []


async def test_a_standing_claim_takes_jobs_for_a_worker_that_has_beaten(stage: Stage) -> None:
    await stage.extend()
    await stage.add("a")

    assert [lease.job_id for lease in await stage.claim(nonce="5", alive_ms=15_000)] == ["a"]


async def test_each_execution_has_a_token_of_its_own(stage: Stage) -> None:
    first = await stage.start("a")
    await stage.lose()
    (second,) = await stage.claim(worker_id="worker2")

    assert first.token.endswith(":1")
    assert second.token.startswith("worker2:")
    assert second.token.endswith(":2")


async def test_a_worker_named_by_its_uuid_does_not_inherit_the_name_of_the_one_before(stage: Stage) -> None:
    await stage.add("a")
    await stage.claim(worker_id="w1", name="london")
    await stage.lose()
    await stage.claim(worker_id="w2", name="w2")

    assert stage.job("a").worker_name == "w2"


async def test_a_foreign_key_in_place_of_a_record_stops_no_other_job(stage: Stage) -> None:
    await stage.add("a", "damaged", "b")
    stage.db.set(stage.keys.job("damaged"), "foreign")

    assert [lease.job_id for lease in await stage.claim()] == ["a", "b"]
    assert (stage.ids("queue"), stage.ids("started")) == ([], ["a", "b"])
    assert stage.db.get(stage.keys.job("damaged")) == b"foreign"
