"""The order in which jobs wait: priority, then first in first out, and who may go to the front."""

from __future__ import annotations

from aqueue._core.outcome import Released, Retried
from tests.transitions.stage import BOOM, Stage, new_job

STEP = 2**46


async def test_within_a_priority_the_first_in_is_the_first_out(stage: Stage) -> None:
    await stage.add("a", "b")
    await stage.add("c")

    assert stage.ids("queue") == ["a", "b", "c"]


async def test_a_higher_priority_goes_before_a_lower_one(stage: Stage) -> None:
    for priority in (0, -100, 100, 5, -1, 5):
        await stage.add(f"p{priority}-{stage.meta('seq')}", priority=priority)

    assert stage.ids("queue") == ["p100-2", "p5-3", "p5-5", "p0-None", "p-1-4", "p-100-1"]


async def test_at_front_goes_before_all_of_its_priority_and_behind_higher_ones(stage: Stage) -> None:
    await stage.add("a")
    await stage.add("high", priority=1)
    await stage.add("front1", mode="front")
    await stage.enqueue(new_job("b"), new_job("front2", mode="front"), new_job("front3", mode="front"))

    assert stage.ids("queue") == ["high", "front3", "front2", "front1", "a", "b"]


async def test_places_are_stored_with_all_their_digits(stage: Stage) -> None:
    await stage.add("first", priority=-100)
    await stage.add("front", mode="front", priority=100)

    assert stage.score("queue", "first") == 100 * STEP + 1
    assert stage.score("queue", "front") == -100 * STEP - 1


async def test_a_released_job_goes_to_the_front_of_its_priority(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.add("b")
    await stage.add("high", priority=1)
    await stage.settle(lease, Released())

    assert stage.ids("queue") == ["high", "a", "b"]


async def test_a_retried_job_goes_to_the_end_of_its_priority(stage: Stage) -> None:
    lease = await stage.start("a", priority=3)
    await stage.add("b", priority=3)
    await stage.add("low")
    await stage.settle(lease, Retried(BOOM, 0))

    assert stage.ids("queue") == ["b", "a", "low"]


async def test_a_requeued_job_goes_to_the_end_and_at_front_to_the_front(stage: Stage) -> None:
    await stage.failed("a")
    await stage.failed("b")
    await stage.add("c", "d")
    await stage.requeue("a")
    await stage.requeue("b", at_front=True)

    assert stage.ids("queue") == ["b", "c", "d", "a"]


async def test_the_first_loss_gives_a_job_its_old_place_back(stage: Stage) -> None:
    await stage.add("a", "b", "c")
    await stage.claim(limit=2)
    await stage.lose()

    assert stage.ids("queue") == ["a", "b", "c"]


async def test_promoted_jobs_queue_up_in_the_order_of_their_due_times(stage: Stage) -> None:
    for name, delay in (("b", 2000), ("c", 3000), ("a", 1000)):
        await stage.add(name, delay=delay)
    await stage.add("waiting")
    await stage.age(10)
    await stage.promote()

    assert stage.ids("queue") == ["waiting", "a", "b", "c"]


async def test_claims_follow_the_order_of_the_queue(stage: Stage) -> None:
    await stage.enqueue(*(new_job(f"j{n}") for n in range(30)))
    taken = [lease.job_id for _ in range(3) for lease in await stage.claim(limit=10)]

    assert taken == [f"j{n}" for n in range(30)]
