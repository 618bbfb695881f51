"""What cannot be enqueued is refused at once, with words that help, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import functools
import random
import string
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from aqueue import Job, PayloadError, Queue, Retry, SettingsError, Worker
from tests.api import jobs

Stored = Callable[[], list[str]]


def nested() -> Callable[[], int]:
    def inner() -> int:
        return 1

    return inner


def vanishing() -> None:
    """Its name is taken from the module below, as a decorator that returns nothing does."""


orphan = vanishing
del vanishing


@pytest.mark.parametrize(
    ("func", "words"),
    [
        (lambda: 1, "lambda"),
        (nested(), "defined inside another function"),
        (functools.partial(jobs.add_async, 1), "partial"),
        (jobs.Greeter("hi"), "Greeter object"),
        ("abc".upper, "give a function"),
        (orphan, "has no such name"),
        (5, "int object"),
        (None, "NoneType object"),
        ("", "import path"),
        ("no_dots", "import path"),
        ("tests.api.jobs.", "import path"),
        (".jobs.nothing", "import path"),
        ("tests.api.jobs.not thing", "import path"),
        ("tests.api.jobs.f()", "import path"),
        ("x." * 400 + "y", "import path"),
        ("a.b\nc", "import path"),
    ],
)
async def test_what_no_worker_could_import_is_refused(
    queue: Queue, stored: Stored, func: Any, words: str
) -> None:
    for call in (
        lambda: queue.enqueue(func),
        lambda: queue.enqueue_in(5, func),
        lambda: queue.enqueue_many([Queue.prepare_data(func)]),
        lambda: queue.options(ttl=5).enqueue(func),
    ):
        with pytest.raises(SettingsError, match=words):
            await call()
    with pytest.raises(SettingsError, match=words):
        Job.create(func)

    assert stored() == []


def hostile_ids() -> list[Any]:
    """Two hundred ids: what has broken other queues, what is no text at all, and noise."""
    rng = random.Random(7)
    allowed = set(string.ascii_letters + string.digits + "_.:@-")
    listed: list[Any] = [
        "", " ", "a b", "a\n", "\na", "a\t", "a\r\n", "a\x00b", "{a}", "a{b}c", "}{", "../etc", "a/b", "a\\b",
        "*", "a*", "?", "[a]", "a,b", "a;b", "a'b", 'a"b', "a`b", "$(a)", "%s", "a%0a", "é", "日本", "🙂",
        "\u202eabc", "a\u0300", "\ud800", "a" * 129, "a" * 100_000, 0, 5, 1.5, True, b"abc", b"", ["a"],
        ("a",), {"a"}, {"a": 1}, object(), str, int, lambda: "a", Exception("a"), float("nan"),
    ]  # fmt: skip
    while len(listed) < 200:
        noise = "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x3000)])) for _ in range(8))
        if not set(noise) <= allowed:
            listed.append(noise)
    return listed


async def test_ids_that_would_break_keys_logs_or_replies_are_refused_at_every_door(
    queue: Queue, stored: Stored
) -> None:
    registry = queue.failed_job_registry
    for hostile in hostile_ids():
        for call in (
            lambda bad=hostile: queue.enqueue(jobs.nothing, job_id=bad),
            lambda bad=hostile: queue.enqueue_many([Queue.prepare_data(jobs.nothing, job_id=bad)]),
            lambda bad=hostile: Job.fetch(bad),
            lambda bad=hostile: Job.exists(bad),
            lambda bad=hostile: queue.fetch_job(bad),
            lambda bad=hostile: queue.get_job_position(bad),
            lambda bad=hostile: queue.remove(bad),
            lambda bad=hostile: registry.contains(bad),
            lambda bad=hostile: registry.requeue(bad),
            lambda bad=hostile: registry.remove(bad),
            lambda bad=hostile: registry.requeue_many([bad]),
        ):
            with pytest.raises(SettingsError, match="job id") as caught:
                await call()
            text = str(caught.value)
            assert len(text) < 200
            assert text.isprintable()
        with pytest.raises(SettingsError, match="job id"):
            Job.create(jobs.nothing, id=hostile)

    assert stored() == []


@pytest.mark.parametrize("job_id", ["a", "a" * 128, "A-z_0.9:x@host", "-", ".", ":"])
async def test_ids_of_ordinary_letters_are_taken(queue: Queue, job_id: str) -> None:
    await queue.enqueue(jobs.nothing, job_id=job_id)

    assert await queue.get_job_ids() == [job_id]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a{b", "é", "a" * 65, "a\n", None, 5, b"low", "a/b"])
def test_names_of_queues_and_namespaces_are_checked(url: str, name: Any) -> None:
    with pytest.raises(SettingsError, match="queue name"):
        Queue(name)
    with pytest.raises(SettingsError, match="queue name"):
        Worker([name] if isinstance(name, str) else [name, "x"])
    if name is not None:
        with pytest.raises(SettingsError, match="namespace"):
            Queue("low", namespace=name)


BAD_DURATIONS: list[Any] = [
    -2, -0.5, float("nan"), float("inf"), float("-inf"), "3x", "", "m", "1e3", "-1s", "1h-3m", True, [1],
    b"5", timedelta(seconds=-1), "five", "1" * 65, 10**12, {}, object(),
]  # fmt: skip


@pytest.mark.parametrize("option", ["job_timeout", "ttl", "result_ttl", "failure_ttl"])
async def test_durations_that_mean_nothing_are_refused(queue: Queue, stored: Stored, option: str) -> None:
    zero = [] if option == "result_ttl" else [0, 0.0, "0s", timedelta(0)]
    for bad in [*BAD_DURATIONS, *zero, *([-1] if option == "ttl" else [])]:
        with pytest.raises(SettingsError, match=option):
            await queue.enqueue(jobs.nothing, **{option: bad})

    assert stored() == []


@pytest.mark.parametrize("bad", [*BAD_DURATIONS, 0, -1, None])
async def test_delays_that_mean_nothing_are_refused(queue: Queue, stored: Stored, bad: Any) -> None:
    with pytest.raises(SettingsError, match="delay"):
        await queue.enqueue_in(bad, jobs.nothing)
    if bad is not None:
        with pytest.raises(SettingsError, match="default_timeout"):
            Queue("low", default_timeout=bad if bad != -1 else 0)

    assert stored() == []


@pytest.mark.parametrize("bad", [5, "2030-01-01", None, timedelta(1)])
async def test_enqueue_at_takes_only_a_datetime(queue: Queue, stored: Stored, bad: Any) -> None:
    with pytest.raises(SettingsError, match="datetime"):
        await queue.enqueue_at(bad, jobs.nothing)

    assert stored() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"priority": 101}, "priority"),
        ({"priority": -101}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"priority": "5"}, "priority"),
        ({"priority": True}, "priority"),
        ({"at_front": "yes"}, "at_front"),
        ({"description": 5}, "description"),
        ({"meta": [1]}, "meta"),
        ({"meta": "text"}, "meta"),
        ({"retry": "3"}, "retry"),
        ({"retry": True}, "retry"),
        ({"retry": 0}, "Retry"),
        ({"retry": -1}, "Retry"),
    ],
)
async def test_options_of_the_wrong_kind_are_refused(
    queue: Queue, stored: Stored, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        await queue.enqueue(jobs.nothing, **options)
    with pytest.raises(SettingsError, match=words):
        Job.create(jobs.nothing, **options)

    assert stored() == []


@pytest.mark.parametrize(
    "given",
    [
        {"max": 0}, {"max": 1, "interval": []}, {"max": 1, "interval": -1}, {"max": 1, "interval": ["3x"]},
        {"max": 1, "backoff": 0.5}, {"max": 1, "jitter": 2}, {"max": 1, "on": 5}, {"max": 1, "not_on": [""]},
        {"max": 1, "max_interval": 0}, {"max": 1.5}, {"max": 1, "jitter": float("nan")},
    ],
)  # fmt: skip
def test_a_retry_that_cannot_be_meant_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"Retry|interval"):
        Retry(**given)


async def test_unknown_options_are_named(queue: Queue, stored: Stored) -> None:
    misspelt: Any = {"tll": 5}
    with pytest.raises(SettingsError, match="unknown option tll: there are at_front, description"):
        queue.options(**misspelt)
    with pytest.raises(SettingsError, match="unknown option tll"):
        Queue.prepare_data(jobs.nothing, **misspelt)
    with pytest.raises(SettingsError, match="ttl=0"):
        queue.options(ttl=0)

    assert stored() == []


@pytest.mark.parametrize(
    "value", [lambda: 1, jobs.Unpicklable(), (number for number in range(3)), asyncio.Lock, nested()]
)
async def test_arguments_that_cannot_be_encoded_are_refused(queue: Queue, stored: Stored, value: Any) -> None:
    if value is asyncio.Lock:
        value = asyncio.get_running_loop()
    with pytest.raises(PayloadError, match=r"the arguments of tests\.api\.jobs\.echo cannot be encoded"):
        await queue.enqueue(jobs.echo, value)
    with pytest.raises(PayloadError, match=r"the arguments of tests\.api\.jobs\.echo"):
        Job.create(jobs.echo, kwargs={"x": value})
    with pytest.raises(PayloadError, match=r"the meta of tests\.api\.jobs\.echo cannot be encoded"):
        await queue.enqueue(jobs.echo, meta={"x": value})

    assert stored() == []


async def test_a_method_of_what_cannot_be_encoded_is_refused(queue: Queue, stored: Stored) -> None:
    with pytest.raises(PayloadError, match=r"Unpicklable\.method.*this one stays here"):
        await queue.enqueue(jobs.Unpicklable().method)

    assert stored() == []


async def size_of(queue: Queue, payload: bytes) -> int:
    """How many bytes a job with this argument has, as the error tells."""
    tiny = Queue(queue.name, max_job_bytes=1)
    with pytest.raises(PayloadError, match=r"has ([\d,]+) bytes") as caught:
        await tiny.enqueue(jobs.echo, payload)
    return int(str(caught.value).partition(" has ")[2].partition(" ")[0].replace(",", ""))


async def test_the_largest_job_is_one_mebibyte_and_not_a_byte_more(queue: Queue, stored: Stored) -> None:
    overhead = await size_of(queue, bytes(1_000_000)) - 1_000_000
    largest = bytes(1_048_576 - overhead)
    assert await size_of(queue, largest) == 1_048_576

    with pytest.raises(PayloadError, match=r"1,048,577 bytes, more than the 1,048,576 allowed"):
        await queue.enqueue(jobs.echo, largest + b"x")
    with pytest.raises(PayloadError, match="1,048,577"):
        await queue.enqueue_many(
            [Queue.prepare_data(jobs.echo, (1,)), Queue.prepare_data(jobs.echo, (largest + b"x",))]
        )
    assert stored() == []

    job = await queue.enqueue(jobs.echo, largest)
    assert (await Job.fetch(job.id)).args == (largest,)


@pytest.mark.parametrize("bytes_", [100, 1000, 3_000_000])
async def test_the_limit_can_be_set_exactly(queue: Queue, stored: Stored, bytes_: int) -> None:
    payload = bytes(bytes_)
    size = await size_of(queue, payload)
    with pytest.raises(PayloadError):
        await Queue(max_job_bytes=size - 1).enqueue(jobs.echo, payload)
    assert stored() == []

    await Queue(max_job_bytes=size).enqueue(jobs.echo, payload)

    assert await queue.count() == 1


async def test_meta_counts_towards_the_limit(queue: Queue, stored: Stored) -> None:
    with pytest.raises(PayloadError, match="more than the 1,048,576 allowed"):
        await queue.enqueue(jobs.nothing, meta={"large": bytes(1_048_576)})
    assert stored() == []

    job = await queue.enqueue(jobs.nothing)
    job.meta["large"] = bytes(1_048_576)
    with pytest.raises(PayloadError, match=r"the meta of .* bytes, more than the 1,048,576 allowed"):
        await job.save_meta()

    assert (await Job.fetch(job.id)).meta == {}


@pytest.mark.parametrize("limit", [0, -1, 1.5, "1", None, True, 2**40])
def test_a_size_limit_that_cannot_be_meant_is_refused(url: str, limit: Any) -> None:
    with pytest.raises(SettingsError, match="max_job_bytes"):
        Queue(max_job_bytes=limit)


@pytest.mark.parametrize("given", [{"args": 5}, {"args": {"a": 1}}, {"kwargs": [1]}, {"kwargs": {1: 2}}])
async def test_argument_lists_of_the_wrong_kind_are_refused(
    queue: Queue, stored: Stored, given: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r"args= must be"):
        await queue.enqueue(jobs.echo, **given)
    with pytest.raises(SettingsError, match=r"args= must be"):
        Queue.prepare_data(jobs.echo, **given)
    with pytest.raises(SettingsError, match=r"args= must be"):
        Job.create(jobs.echo, **given)

    assert stored() == []


async def test_arguments_given_both_ways_are_refused(queue: Queue, stored: Stored) -> None:
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: queue.enqueue(jobs.echo, 1, args=(1,)),
        lambda: queue.enqueue(jobs.echo, x=1, kwargs={"y": 1}),
    ]
    for call in calls:
        with pytest.raises(SettingsError, match="either as args= and kwargs=, or directly"):
            await call()

    assert stored() == []
