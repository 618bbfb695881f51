"""T61: what a few actors do at the same time, in every order of their calls."""

from __future__ import annotations

from typing import Any

from aqueue import Job, NoSuchJobError, Queue
from aqueue._core.outcome import Failed, Finished, Retried
from aqueue._redis import operations
from aqueue._redis.lookups import snapshots
from aqueue._redis.operations import Lookup
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from tests.chaos.interleaving import Actor, Gate, Orders, Play, SomeOrders
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import without_aof
from tests.support import age, beat
from tests.tasks import add
from tests.transitions.mirror import Mirror, check_partition

NAMESPACE = "chaos"
DONE = Finished(b"r")
ERROR = Failed("ValueError", "no", "ValueError: no")


# -- what the actors do


async def enqueue(actor: Actor) -> str:
    return str((await actor.queue.enqueue(add, 1, 2, job_id="a")).status)


async def enqueue_many(actor: Actor) -> int:
    return len(await actor.queue.enqueue_many([Queue.prepare_data(add, (1, 2), job_id=one) for one in "ab"]))


async def run_one(actor: Actor) -> list[str]:
    return await actor.work(DONE)


async def fail_two(actor: Actor) -> list[str]:
    return await actor.work(ERROR) + await actor.work(ERROR)


async def retry_one(actor: Actor) -> list[str]:
    return await actor.work(Retried(ERROR, 0))


async def claim_twice(actor: Actor) -> list[str]:
    """Its reply was lost."""
    first = await actor.claim(nonce="n")
    again = await actor.claim(nonce="n")
    assert {lease.token for lease in again} <= {lease.token for lease in first}
    return await actor.settle(again, DONE)


async def fetched(actor: Actor) -> Job[Any]:
    job = await actor.queue.fetch_job("a")
    if job is None:
        raise NoSuchJobError("a")
    return job


async def cancel(actor: Actor) -> str:
    job = await fetched(actor)
    await job.cancel()
    return "ok"


async def stop(actor: Actor) -> str:
    job = await fetched(actor)
    await job.stop()
    return "ok"


async def delete(actor: Actor) -> str:
    job = await fetched(actor)
    await job.delete()
    return "ok"


async def requeue(actor: Actor) -> str:
    job = await fetched(actor)
    await job.requeue()
    return "ok"


async def requeue_all(actor: Actor) -> int:
    return await actor.queue.failed_job_registry.requeue_all()


async def empty(actor: Actor) -> int:
    return await actor.queue.empty()


async def drop(actor: Actor) -> None:
    await actor.queue.delete()


async def pause_and_resume(actor: Actor) -> None:
    await actor.queue.pause()
    await actor.queue.resume()


async def recover(actor: Actor) -> None:
    await actor.recover()


async def prune(actor: Actor) -> None:
    await actor.prune()


async def settle_late(actor: Actor) -> list[str]:
    """The holder of the lease that is over."""
    [lease] = held
    return await actor.settle([lease], DONE)


async def recover_and_run(actor: Actor) -> list[str]:
    await actor.recover()
    return await actor.work(ERROR)


#: Leases that were given out before the actors began.
held: list[Any] = []


# -- what is there before them


async def nothing(queue: Queue) -> None:
    pass


async def one_waits(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2, job_id="a")


async def two_wait(queue: Queue) -> None:
    await one_waits(queue)
    await queue.enqueue(add, 1, 2, job_id="b")


async def one_failed(queue: Queue) -> None:
    await one_waits(queue)
    await _run(queue, ERROR)


async def one_is_overdue(queue: Queue) -> None:
    """Its lease has passed, while others beat."""
    await one_waits(queue)
    held[:] = await _claim(queue, "gone")
    await age(queue.space, seconds=100)
    await beat(queue.space)
    await queue.space.client.read(Lookup([("DEL", queue.space.keys.hold)], lambda replies: None))


async def one_failed_long_ago(queue: Queue) -> None:
    await one_failed(queue)
    await age(queue.space, seconds=400 * 86_400)


async def one_is_due(queue: Queue) -> None:
    await queue.enqueue_in(60, add, 1, 2, job_id="a")
    await age(queue.space, seconds=100)


async def _claim(queue: Queue, worker: str) -> list[Any]:
    operation = operations.claim(
        queue.space.keys, ["default"], worker_id=worker, name=worker, nonce="1", limit=1, lease_ms=60_000
    )
    return list((await queue.space.client.run(operation)).leases)


async def _run(queue: Queue, outcome: Any) -> None:
    [lease] = await _claim(queue, "before")
    await queue.space.client.run(operations.settle(queue.space.keys, [(lease, outcome)]))


# -- what must hold


async def status(queue: Queue, job_id: str = "a") -> str | None:
    [found] = await queue.space.client.read(snapshots(queue.space.keys, [job_id]))
    return None if found is None else str(found.record.status)


async def totals(queue: Queue) -> int:
    """Outcomes recorded."""
    command = ("HMGET", queue.space.keys.meta("default"), "finished", "failed", "stopped", "canceled")
    [counts] = await queue.space.client.read(Lookup([command], lambda replies: replies))
    return sum(int(count or 0) for count in counts)


async def anything(queue: Queue, notes: dict[str, Any]) -> None:
    """The partition says enough."""


async def one_of_two_enqueues(queue: Queue, notes: dict[str, Any]) -> None:
    taken = [notes["first"], notes["second"]].count("queued")
    [found] = await queue.space.client.read(snapshots(queue.space.keys, ["a"]))
    assert found is not None
    assert taken == 1 + found.record.incarnation, notes
    assert taken == 1 or notes["worker"] == ["ok"], notes


async def cancelled_or_run(queue: Queue, notes: dict[str, Any]) -> None:
    wanted = "canceled" if notes["admin"] == "ok" and not notes["worker"] else "finished"
    assert await status(queue) == wanted, notes
    assert await totals(queue) == 1


async def stopped_or_retried(queue: Queue, notes: dict[str, Any]) -> None:
    wanted = "stopped" if notes["admin"] == "ok" else "queued"
    assert await status(queue) == wanted, notes


async def deleted_or_run(queue: Queue, notes: dict[str, Any]) -> None:
    assert (notes["admin"] == "ok") == (await status(queue) is None), notes
    if notes["admin"] == "InvalidJobOperation":
        assert notes["worker"] == ["ok"], notes


async def one_outcome(queue: Queue, notes: dict[str, Any]) -> None:
    """The late one or the one that took over: never both."""
    words = [*notes["late"], *notes["other"]]
    assert words.count("ok") == await totals(queue) <= 1, notes
    if words.count("ok"):
        assert await status(queue) == ("finished" if notes["late"] == ["ok"] else "failed"), notes


async def one_requeue(queue: Queue, notes: dict[str, Any]) -> None:
    assert sorted([notes["first"], notes["second"]]) == ["InvalidJobOperation", "ok"], notes
    assert await status(queue) == "queued"


async def requeued_or_deleted(queue: Queue, notes: dict[str, Any]) -> None:
    found = await status(queue)
    assert found in ((None,) if notes["admin"] == "ok" else ("queued",)), notes


async def all_in_once(queue: Queue, notes: dict[str, Any]) -> None:
    assert sorted(await queue.get_job_ids()) == ["a", "b"], notes


async def is_claimable(queue: Queue, notes: dict[str, Any]) -> None:
    """A wake token is there while something waits."""
    waits = await queue.count()
    command = ("LLEN", queue.space.keys.wake("default"))
    [tokens] = await queue.space.client.read(Lookup([command], lambda replies: replies))
    assert tokens or not waits, notes


async def once_only(queue: Queue, notes: dict[str, Any]) -> None:
    assert await status(queue) == "finished"
    assert await totals(queue) == 1


async def once_or_canceled(queue: Queue, notes: dict[str, Any]) -> None:
    assert await status(queue) in ("finished", "canceled", "queued"), notes
    assert await totals(queue) == (await status(queue) != "queued")


PLAYS = [
    Play("two enqueues of one id and a worker",
         {"first": enqueue, "second": enqueue, "worker": run_one}, nothing, one_of_two_enqueues),
    Play("cancel and run", {"admin": cancel, "worker": run_one}, one_waits, cancelled_or_run),
    Play("stop and retry", {"admin": stop, "worker": retry_one}, one_waits, stopped_or_retried),
    Play("delete and run", {"admin": delete, "worker": run_one}, one_waits, deleted_or_run),
    Play("a late settlement, and two others who recover and run",
         {"late": settle_late, "other": recover_and_run, "third": recover}, one_is_overdue, one_outcome),
    Play("two requeues", {"first": requeue, "second": requeue}, one_failed, one_requeue),
    Play("requeue, requeue all and delete",
         {"admin": delete, "all": requeue_all, "one": requeue}, one_failed, requeued_or_deleted),
    Play("requeue all while jobs fail", {"all": requeue_all, "worker": fail_two}, two_wait, anything),
    Play("one enqueue and many", {"many": enqueue_many, "one": enqueue}, nothing, all_in_once),
    Play("pause, enqueue and work",
         {"admin": pause_and_resume, "producer": enqueue, "worker": run_one}, nothing, is_claimable),
    Play("empty, enqueue and work",
         {"admin": empty, "producer": enqueue_many, "worker": run_one}, two_wait, anything),
    Play("delete a queue and enqueue", {"admin": drop, "producer": enqueue_many}, two_wait, is_claimable),
    Play("prune and requeue", {"admin": requeue, "worker": prune}, one_failed_long_ago, anything),
    Play("a due job, cancel and two workers",
         {"admin": cancel, "one": retry_one, "other": run_one}, one_is_due, anything),
    Play("a claim whose reply was lost, and another worker",
         {"one": claim_twice, "other": run_one}, one_waits, once_only),
    Play("a claim whose reply was lost, and cancel",
         {"one": claim_twice, "admin": cancel}, one_waits, once_or_canceled),
    Play("cancel, requeue and run",
         {"admin": cancel, "other": requeue, "worker": run_one}, one_waits, anything),
    Play("two workers fail while all is requeued",
         {"admin": requeue_all, "one": fail_two, "other": fail_two}, two_wait, anything),
    Play("stop, a late settlement, and another who recovers and runs",
         {"admin": stop, "late": settle_late, "other": recover_and_run}, one_is_overdue, anything),
    Play("delete, enqueue and run",
         {"admin": delete, "producer": enqueue, "worker": run_one}, one_waits, anything),
    Play("a queue is emptied, deleted and filled",
         {"admin": empty, "other": drop, "producer": enqueue_many}, two_wait, is_claimable),
    Play("pause and resume, two workers",
         {"admin": pause_and_resume, "one": fail_two, "other": run_one}, two_wait, is_claimable),
]  # fmt: skip


@scenario(
    "T61",
    "two or three actors' calls in every order",
    checks="",
    quick={"orders": 25},
    full={"orders": 0},
    server=without_aof,
)
async def every_order(stage: Stage) -> None:
    """All of them; a number instead of 0 tries so many of each play by chance."""
    gate = Gate()
    actors = [Actor(stage.server.url, NAMESPACE, gate, f"w{number}") for number in range(3)]
    mirror = Mirror(SyncClient(from_url(stage.server.admin_url)), stage.queue.space.keys)
    for script in operations._SCRIPTS.values():
        mirror.command("SCRIPT", "LOAD", script.text)
    for play in PLAYS:
        some = stage.number("orders")
        orders = SomeOrders(stage.dice, some) if some else Orders()
        while orders.next():
            mirror.command("FLUSHALL")
            await play.before(stage.queue)
            await play.perform(actors, gate, orders.choose)
            found, now = mirror.look(advance=0)
            try:
                check_partition(found, now)
                await play.after(stage.queue, play.notes)
            except (AssertionError, NoSuchJobError) as error:
                raise AssertionError(f"{play.name}: {orders._taken}: {error}") from error
            stage.seen.add("orders")
    mirror.client.close()
    for actor in actors:
        await actor.client.aclose()
