"""Waiting for the end of a job."""

from __future__ import annotations

import asyncio
import pickle
import time
from typing import Any

import pytest
from redis.exceptions import ResponseError

from aqueue import (
    Job,
    JobCanceled,
    JobExpired,
    JobFailed,
    JobStopped,
    JobTimeout,
    NoSuchJobError,
    PayloadError,
    Queue,
    QueueUnavailable,
    Retry,
    SettingsError,
    WaitTimeout,
    Worker,
)
from aqueue._core.outcome import Finished
from aqueue._core.serializers import PICKLE
from aqueue._redis import operations
from aqueue._redis.operations import Lookup
from aqueue.connection import Namespace
from tests.api import jobs
from tests.api.admin import admin, calls_of, clients_of
from tests.servers import Server, smallest
from tests.support import age, claim, wait_until


async def test_wait_returns_what_the_function_returns_also_if_it_ended_before(queue: Queue) -> None:
    value = await queue.enqueue(jobs.echo, 1, x=[2])
    none: Job[object] = await queue.enqueue(jobs.nothing)
    async with Worker([queue]).running():
        assert await value.wait() == ((1,), {"x": [2]})
        assert await none.wait(timeout="10s") is None

    assert (value.status, value.result) == ("finished", ((1,), {"x": [2]}))
    assert await value.wait(timeout=0) == ((1,), {"x": [2]})
    assert await (await Job.fetch(none.id)).wait() is None


async def test_wait_raises_what_the_job_raised_as_text(queue: Queue) -> None:
    job = await queue.enqueue(jobs.fail_with, "too many words")
    await Worker([queue]).work(burst=True)

    with pytest.raises(JobFailed, match=f"job '{job.id}' failed: ValueError: too many words") as caught:
        await job.wait(5)

    error = caught.value
    assert (error.job_id, error.type, error.message) == (job.id, "ValueError", "too many words")
    assert error.traceback.startswith("Traceback")
    assert error.traceback.endswith("ValueError: too many words")
    assert error.traceback == job.exc_info
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.job_id, str(copy)) == (job.id, str(error))


async def test_wait_tells_a_timeout_from_another_failure(queue: Queue) -> None:
    job = await queue.enqueue(jobs.sleep_for_ever, job_timeout=0.1)
    await Worker([queue]).work(burst=True)

    with pytest.raises(JobTimeout, match=r"ran longer than its timeout of 0\.1 s"):
        await job.wait(5)


async def test_wait_tells_canceled_stopped_and_expired_jobs(queue: Queue) -> None:
    canceled = await queue.enqueue(jobs.nothing)
    await canceled.cancel()
    expired = await queue.enqueue(jobs.nothing, ttl=5)
    await age(queue.space, seconds=6)
    stopped = await queue.enqueue(jobs.sleep_for_ever)
    waits = [asyncio.create_task(job.wait(10)) for job in (canceled, expired, stopped)]
    async with Worker([queue]).running():
        await wait_until(lambda: _is_started(stopped))
        await stopped.stop()
        errors = await asyncio.gather(*waits, return_exceptions=True)

    assert [type(error) for error in errors] == [JobCanceled, JobExpired, JobStopped]
    assert [str(error) for error in errors] == [
        f"job {canceled.id!r} was canceled",
        f"job {expired.id!r} expired: its ttl passed before a worker could start it",
        f"job {stopped.id!r} was stopped while it ran",
    ]
    assert isinstance(errors[2], JobCanceled)


async def _is_started(job: Job[Any]) -> bool:
    return await job.get_status() == "started"


async def test_wait_goes_on_while_a_job_is_retried(queue: Queue) -> None:
    job = await queue.enqueue(jobs.div_by_zero, 1, retry=Retry(max=2))
    async with Worker([queue]).running():
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            await job.wait(10)

    assert len(await job.results()) == 3


async def test_wait_gives_up_after_its_timeout_and_the_job_goes_on(queue: Queue) -> None:
    job = await queue.enqueue(jobs.say_hello)

    with pytest.raises(
        WaitTimeout, match=f"job '{job.id}' has not ended within 0.05 s; it goes on"
    ) as caught:
        await job.wait(0.05)

    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.job_id, caught.value.timeout) == (job.id, 0.05)
    await Worker([queue]).work(burst=True)
    assert await job.wait(5) == "Hi there, Stranger!"


async def test_wait_with_timeout_zero_only_looks(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)

    with pytest.raises(WaitTimeout, match="within 0 s"):
        await job.wait(timeout=0)
    with pytest.raises(NoSuchJobError):
        await Job.create(jobs.nothing).wait(timeout=0)


@pytest.mark.parametrize("bad", [-1, "3x", float("nan"), True])
async def test_a_wait_that_means_nothing_is_refused(queue: Queue, bad: Any) -> None:
    job = await queue.enqueue(jobs.nothing)

    with pytest.raises(SettingsError, match="timeout"):
        await job.wait(bad)
    with pytest.raises(SettingsError, match="timeout"):
        await job.latest_result(bad)


async def test_wait_for_a_job_that_is_gone_says_so(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)
    waiting = asyncio.create_task(job.wait(10))
    await wait_until(lambda: queue.space.connector.client().subscriber._connection)
    await job.delete()

    with pytest.raises(NoSuchJobError, match=f"no job '{job.id}'"):
        await waiting
    with pytest.raises(NoSuchJobError, match=f"no job '{job.id}'"):
        await job.wait()


async def test_wait_for_a_result_that_is_not_kept_says_that_the_job_finished(queue: Queue) -> None:
    job = await queue.enqueue(jobs.say_hello, result_ttl=0)
    waiting = asyncio.create_task(job.wait(10))
    await Worker([queue]).work(burst=True)

    for wait in (lambda: waiting, job.wait, lambda: job.wait(0)):
        with pytest.raises(NoSuchJobError, match=r"finished and its result was not kept \(result_ttl=0\)"):
            await wait()
    with pytest.raises(NoSuchJobError):
        await Job.fetch(job.id)


async def test_a_result_that_cannot_be_decoded_here_is_no_success(queue: Queue) -> None:
    job = await queue.enqueue(jobs.nothing)
    [lease] = (await claim(queue.space)).leases
    await queue.space.client.run(operations.settle(queue.space.keys, [(lease, Finished(b"\x80junk"))]))

    with pytest.raises(PayloadError, match=f"the result of job '{job.id}' cannot be decoded"):
        await job.wait(5)


def subscribed(server: Server) -> int:
    """How many channels are subscribed to on this server."""
    with admin(server) as client:
        return len(client.pubsub_channels())


async def test_waiters_that_give_up_leave_nothing_subscribed(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(50))
    canceled = [asyncio.create_task(job.wait()) for job in made[:25]]
    late = [asyncio.create_task(job.wait(0.2)) for job in made]
    await wait_until(lambda: subscribed(own_server) == 50)
    for task in canceled:
        task.cancel()

    answers = await asyncio.gather(*canceled, *late, return_exceptions=True)

    assert [type(answer) for answer in answers] == [asyncio.CancelledError] * 25 + [WaitTimeout] * 50
    await wait_until(lambda: subscribed(own_server) == 0)
    waiters = queue.space.connector.client().waiters
    assert (waiters._futures, waiters._unread) == ({}, set())
    await queue.aclose()


async def test_one_cancelled_waiter_does_not_take_the_others_of_its_job_along(queue: Queue) -> None:
    job = await queue.enqueue(jobs.say_hello)
    waits = [asyncio.create_task((await Job.fetch(job.id)).wait(10)) for _ in range(5)]
    await wait_until(lambda: queue.space.connector.client().subscriber._connection)
    waits[0].cancel()
    waits[4].cancel()
    await Worker([queue]).work(burst=True)

    answers = await asyncio.gather(*waits, return_exceptions=True)
    assert answers[1:4] == ["Hi there, Stranger!"] * 3


async def finish_all(queue: Queue, value: Any) -> int:
    """Claim and finish whatever waits, as workers do; how many."""
    done = 0
    while leases := (await claim(queue.space, limit=100)).leases:
        ended = [(lease, Finished(PICKLE.dumps(value))) for lease in leases]
        await queue.space.client.run(operations.settle(queue.space.keys, ended))
        done += len(ended)
    return done


async def test_ten_thousand_waiters_share_a_handful_of_connections(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(10_000))
    begin = time.monotonic()
    waits = [asyncio.create_task(job.wait(60)) for job in made]
    await wait_until(lambda: subscribed(own_server) == 10_000)

    assert await finish_all(queue, 7) == 10_000
    answers = await asyncio.gather(*waits)

    assert answers == [7] * 10_000
    assert len(clients_of(own_server)) <= 12
    assert time.monotonic() - begin < 20
    await wait_until(lambda: subscribed(own_server) == 0)
    await queue.aclose()


def kill_subscribers(server: Server) -> int:
    with admin(server) as client:
        return int(client.client_kill_filter(_type="pubsub"))


async def test_waiters_outlive_their_connection(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(20))
    waits = [asyncio.create_task(job.wait(15)) for job in made]
    await wait_until(lambda: subscribed(own_server) == 20)

    assert kill_subscribers(own_server) == 1
    await finish_all(queue, 7)

    assert await asyncio.gather(*waits) == [7] * 20
    await queue.aclose()


async def test_a_message_that_nobody_heard_costs_two_seconds_at_most(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    job: Job[object] = await queue.enqueue(jobs.nothing)
    waiting = asyncio.create_task(job.wait(15))
    await wait_until(lambda: subscribed(own_server) == 1)
    [lease] = (await claim(queue.space)).leases
    with admin(own_server) as client:  # the end is recorded, and no message sent
        client.acl_setuser("default", enabled=True, commands=["-publish"])
    begin = time.monotonic()
    await queue.space.client.run(operations.settle(queue.space.keys, [(lease, Finished(PICKLE.dumps(7)))]))

    assert await waiting == 7
    assert time.monotonic() - begin < 3
    await queue.aclose()


async def test_waiters_see_the_end_of_a_job_after_redis_was_away(own_server: Server) -> None:
    with Server().limited() as server:
        queue = Queue(connection=server.url)
        job: Job[object] = await queue.enqueue(jobs.nothing)
        waiting = asyncio.create_task(job.wait(20))
        await wait_until(lambda: subscribed(server) == 1)
        server.restart()

        await finish_all(queue, 7)

        assert await waiting == 7
        await queue.aclose()


async def test_closing_tells_those_who_wait(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    job = await queue.enqueue(jobs.nothing)
    waiting = asyncio.create_task(job.wait())
    await wait_until(lambda: subscribed(own_server) == 1)

    await queue.aclose()

    with pytest.raises(QueueUnavailable, match="closed"):
        await waiting
    assert clients_of(own_server) == []


async def test_waiting_works_where_subscribing_is_not_allowed_and_does_not_storm(own_server: Server) -> None:
    rules = [rule for rule in smallest("aqueue") if rule[0] != "&"]
    queue = Queue(connection=own_server.user("deaf", *rules))
    job: Job[object] = await queue.enqueue(jobs.nothing)
    waiting = asyncio.create_task(job.wait(10))
    await finish_all(queue, 7)

    assert await waiting == 7
    assert 2 <= calls_of(own_server, "subscribe") < 15
    await queue.aclose()


async def test_a_damaged_record_does_not_hold_up_the_waiters_of_others(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    made = await queue.enqueue_many(Queue.prepare_data(jobs.nothing) for _ in range(20))
    waits = [asyncio.create_task(job.wait(10)) for job in made]
    await wait_until(lambda: subscribed(own_server) == 20)
    key = queue.space.keys.job(made[7].id)
    with admin(own_server) as client:
        client.delete(key)
        client.set(key, "not ours")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await waits[7]

    assert await finish_all(queue, 7) == 19
    assert await asyncio.gather(*(wait for wait in waits if wait is not waits[7])) == [7] * 19
    await queue.aclose()


async def test_a_wait_in_vain_says_that_redis_did_not_answer() -> None:
    with Server().limited() as server:
        queue = Queue(connection=server.url)
        job = await queue.enqueue(jobs.nothing)
        waiting = asyncio.create_task(job.wait(timeout=4))
        await wait_until(lambda: queue.space.connector.client().waiters.is_busy)
        server.kill()

        with pytest.raises(WaitTimeout, match="Redis did not answer, so it is not known whether it has"):
            await waiting
        await queue.aclose()


async def test_a_status_that_is_no_text_stops_only_its_own_waiter(queue: Queue, space: Namespace) -> None:
    damaged, healthy = await queue.enqueue(jobs.nothing), await queue.enqueue(jobs.nothing)
    key = space.keys.job(damaged.id)
    await space.client.read(Lookup([("HSET", key, "status", b"\xff\xfe")], lambda replies: None))
    waits = [asyncio.create_task(job.wait(timeout=15)) for job in (damaged, healthy)]
    await wait_until(lambda: space.connector.client().waiters.is_busy)

    await space.client.read(Lookup([("HDEL", key, "queue")], lambda replies: None))
    await healthy.cancel()

    with pytest.raises(JobCanceled):
        await waits[1]
    waits[0].cancel()
