"""`assert_enqueued` and `refute_enqueued`: what they find, and what they say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aqueue import Queue, Retry, SettingsError, job
from aqueue._core.options import OPTION_NAMES
from aqueue.testing import assert_enqueued, refute_enqueued, run_burst
from tests.tasks import add, div_by_zero, say_hello


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counter) and other.start == self.start

    def __hash__(self) -> int:
        return hash(self.start)

    def count(self, by: int) -> int:
        return self.start + by


async def test_it_returns_the_job(queue: Queue) -> None:
    made = await queue.enqueue(add, 1, 2)

    assert await assert_enqueued(queue, add, (1, 2)) == made
    assert await assert_enqueued(queue, "tests.tasks.add", [1, 2]) == made
    assert await assert_enqueued(queue, add) == made


async def test_the_first_of_several_is_returned(queue: Queue) -> None:
    jobs = [await queue.enqueue(add, 1, n) for n in range(3)]

    assert await assert_enqueued(queue, add) == jobs[0]
    assert await assert_enqueued(queue, add, (1, 2)) == jobs[2]


async def test_a_lone_string_is_one_argument(queue: Queue) -> None:
    await queue.enqueue(say_hello, "Ada")

    await assert_enqueued(queue, say_hello, "Ada")
    await refute_enqueued(queue, say_hello, "A")


async def test_arguments_are_all_compared_and_keyword_arguments_as_far_as_given(queue: Queue) -> None:
    await queue.enqueue("tests.tasks.f", 1, 2, a=1, b=2)

    await assert_enqueued(queue, "tests.tasks.f", (1, 2), {"b": 2})
    await refute_enqueued(queue, "tests.tasks.f", (1,))
    await refute_enqueued(queue, "tests.tasks.f", (1, 2), {"b": 3})
    await refute_enqueued(queue, "tests.tasks.f", kwargs={"c": None})
    await refute_enqueued(queue, "tests.tasks.g", (1, 2))


async def test_no_arguments_are_not_any_arguments(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2)

    await refute_enqueued(queue, add, ())


async def test_a_method_is_found_with_its_instance(queue: Queue) -> None:
    await queue.enqueue(Counter(1).count, 5)

    await assert_enqueued(queue, Counter(1).count, (5,))
    await refute_enqueued(queue, Counter(2).count, (5,))


async def test_jobs_of_every_status_count(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2)
    await queue.enqueue(div_by_zero, 1)
    await run_burst(queue, raise_on_failure=False)
    await queue.enqueue_in("1h", say_hello)
    await (await queue.enqueue(say_hello, "no")).cancel()

    assert (await assert_enqueued(queue, add, status="finished")).is_finished
    await assert_enqueued(queue, div_by_zero, status="failed")
    await assert_enqueued(queue, say_hello, (), status="scheduled")
    await assert_enqueued(queue, say_hello, "no", status="canceled")
    await refute_enqueued(queue, add, status="queued")


@pytest.mark.parametrize(
    ("given", "same", "other"),
    [
        ({"job_timeout": "3m"}, {"job_timeout": 180}, {"job_timeout": "4m"}),
        ({"job_timeout": -1}, {"job_timeout": -1}, {"job_timeout": None}),
        ({"result_ttl": 0}, {"result_ttl": 0}, {"result_ttl": 500}),
        ({}, {"result_ttl": 500}, {"result_ttl": 501}),
        ({}, {"ttl": None}, {"ttl": 1}),
        ({"priority": 5}, {"priority": 5}, {"priority": 0}),
        ({"job_id": "a"}, {"job_id": "a"}, {"job_id": "b"}),
        ({"meta": {"a": 1, "b": 2}}, {"meta": {"a": 1}}, {"meta": {"c": 1}}),
        ({"description": "d"}, {"description": "d"}, {"description": None}),
        ({"retry": 3}, {"retry": Retry(max=3)}, {"retry": None}),
    ],
)
async def test_options_are_compared(
    queue: Queue, given: dict[str, Any], same: dict[str, Any], other: dict[str, Any]
) -> None:
    await queue.options(**given).enqueue(add, 1, 2)

    await assert_enqueued(queue, add, **same)
    await refute_enqueued(queue, add, **other)


@pytest.mark.parametrize("name", sorted(OPTION_NAMES - {"at_front", "durability", "job_id", "meta"}))
async def test_every_option_can_be_looked_for(queue: Queue, name: str) -> None:
    await queue.enqueue(add, 1, 2)

    default: Any = 0 if name == "priority" else None
    await assert_enqueued(queue, add, **{name: default})


async def test_a_decorated_function_is_found(url: str) -> None:
    await double.delay(2)

    await assert_enqueued(Queue("decorated"), double, (2,), job_timeout="1m")
    await assert_enqueued(Queue("decorated"), "tests.testing.test_asserts.double")
    await refute_enqueued(Queue("decorated"), double, (3,))


@job("decorated", timeout="1m")
def double(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "cannot look for colour: there are description, "),
        ({"at_front": True}, "cannot look for at_front"),
        ({"status": "gone"}, "status='gone' is none of created, queued"),
        ({"ttl": "soon"}, "ttl='soon' is not a duration"),
        ({"within": "soon"}, "within='soon' is not a duration"),
    ],
)
async def test_an_option_that_cannot_be_looked_for_is_named(
    queue: Queue, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        await assert_enqueued(queue, add, **options)
    with pytest.raises(SettingsError, match=message):
        await refute_enqueued(queue, add, **options)


async def test_a_failure_lists_what_is_there(queue: Queue) -> None:
    await queue.enqueue(add, 1, 2, description="a sum")
    await queue.enqueue_in("1h", say_hello, name="Ada")
    with pytest.raises(AssertionError) as caught:
        await assert_enqueued(queue, add, (1, 3), {"c": "d"}, ttl=5)

    assert str(caught.value).splitlines() == [
        "no job tests.tasks.add(1, 3, c='d') with ttl=5 was enqueued in queue 'default'; it has:",
        "  queued    tests.tasks.add(1, 2)",
        "  scheduled tests.tasks.say_hello(name='Ada')",
    ]


async def test_a_failure_says_that_there_is_nothing(queue: Queue) -> None:
    with pytest.raises(AssertionError) as caught:
        await assert_enqueued(queue, add, within="20ms")

    assert str(caught.value) == (
        "no job tests.tasks.add(...) was enqueued in queue 'default' within 0.02 s; it has no jobs"
    )


async def test_a_refutation_lists_what_is_there(queue: Queue) -> None:
    for n in range(25):
        await queue.enqueue(add, 1, n)
    with pytest.raises(AssertionError) as caught:
        await refute_enqueued(queue, add, (1, 2))
    lines = str(caught.value).splitlines()

    assert lines[0] == "a job tests.tasks.add(1, 2) was enqueued in queue 'default'; it has:"
    assert (len(lines), lines[-1]) == (22, "  and 5 more")


async def test_arguments_that_cannot_be_decoded_do_not_stop_it(queue: Queue) -> None:
    await Queue(serializer=Rot13()).enqueue(add, 1, 2)

    await assert_enqueued(queue, add)
    with pytest.raises(AssertionError, match=r"queued    tests\.tasks\.add\(\.\.\.\)"):
        await assert_enqueued(queue, add, (1, 2))


class Rot13:
    def dumps(self, value: Any) -> bytes:
        return b"nothing that pickle reads"

    def loads(self, data: bytes) -> Any:
        return (), {}


async def test_it_waits_for_what_comes_within_the_time(queue: Queue) -> None:
    async def later() -> None:
        await refute_enqueued(queue, add)
        await queue.enqueue(add, 1, 2)

    task = asyncio.create_task(later())
    await assert_enqueued(queue, add, (1, 2), within=10)
    await task


async def test_a_refutation_looks_all_the_time(queue: Queue) -> None:
    task = asyncio.create_task(refute_enqueued(queue, add, within=30))
    await asyncio.sleep(0)
    await queue.enqueue(add, 1, 2)
    with pytest.raises(AssertionError, match="a job"):
        await task
