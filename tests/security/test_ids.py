"""S12: ids that are none, through every door: programs, the command line, and what Redis lists."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import aqueue.sync
from aqueue import Job, Queue, SettingsError, Worker, cancel_job, requeue_job
from aqueue._core.names import is_job_id
from aqueue.bulk import cancel_jobs, delete_jobs, stop_jobs
from aqueue.connection import open_namespace
from tests.cli.conftest import Invoke
from tests.cli.conftest import invoke as invoke
from tests.security import jobs
from tests.security.test_logs import BAD
from tests.transitions.conftest import stage as stage
from tests.transitions.stage import Stage
from tests.worker.hands import burst

#: What an id must not hold, and what looks like what it may.
SPOILERS = [
    *(
        "{",
        "}",
        "{x}",
        "\r\n",
        "\n",
        "\r",
        "\0",
        "/",
        "\\",
        "../",
        " ",
        "\t",
        "*",
        "?",
        "[a]",
        "'",
        '"',
        "`",
        "$(id)",
    ),
    *(
        ";",
        "|",
        "&",
        "<b>",
        "%00",
        "%s",
        "#",
        ",",
        "=",
        "+",
        "~",
        "!",
        "^",
        "\x1b[2J",
        "\x7f",
        "\u202e",
        "\u200b",
    ),
    *("\uff41", "\u0430", "\u00e9", "e\u0301", "\u0660", "\u2024", "\u2028", "\U0001f4a9", "\xa0", "\x85"),
    *("\ufeff", "\ud800", "+"),
]
SHAPES: list[Callable[[str], str]] = [
    *(lambda bad: bad, lambda bad: f"a{bad}", lambda bad: f"{bad}a", lambda bad: f"a{bad}b"),
    *(lambda bad: bad * 3, lambda bad: f"{bad}.{bad}", lambda bad: "a" * 127 + bad),
]


def hostile_ids() -> list[str]:
    """Two thousand of them."""
    made = [shape(bad) for bad in SPOILERS for shape in SHAPES]
    made += [
        "",
        "a" * 129,
        "a" * 1_000,
        "x" * 2**20,
        "{aqueue}:job:a",
        "job:\na",
        "../../etc/passwd",
        "\0" * 128,
    ]
    rng = random.Random(12)
    while len(made) < 2_000:
        parts = rng.choices([*SPOILERS, "a", "b", "..", ":", "-", "@"], k=rng.randrange(1, 60))
        if set(parts) & set(SPOILERS):
            made.append("".join(parts))
    return made


IDS = hostile_ids()


def test_there_are_enough() -> None:
    assert len(set(IDS)) >= 1_900
    assert not any(map(is_job_id, IDS))


def doors(queue: Queue) -> list[Callable[[str], Any]]:
    registry, url = queue.failed_job_registry, queue.space.connector.source.shown
    return [
        lambda text: queue.enqueue(jobs.echo, 1, job_id=text),
        lambda text: queue.enqueue_many([Queue.prepare_data(jobs.echo, (1,), job_id=text)]),
        lambda text: Job.create(jobs.echo, (1,), id=text),
        lambda text: Job.fetch(text, url),
        lambda text: Job.exists(text, url),
        lambda text: Job.fetch_many([text], url),
        lambda text: queue.fetch_job(text),
        lambda text: queue.remove(text),
        lambda text: queue.get_job_position(text),
        lambda text: registry.requeue(text),
        lambda text: registry.remove(text),
        lambda text: registry.contains(text),
        lambda text: requeue_job(text, url),
        lambda text: cancel_job(text, url),
        lambda text: cancel_jobs([text], url),
        lambda text: stop_jobs([text], url),
        lambda text: delete_jobs([text], url),
    ]


async def refused(call: Callable[[str], Any], text: str) -> str:
    try:
        await call(text)
    except SettingsError as error:
        return str(error)
    raise AssertionError(f"{text[:200]!a} was let in")


async def test_no_door_of_a_program_lets_one_in(queue: Queue, stage: Stage) -> None:
    """Nor is Redis asked: none of these calls waits for it."""
    for number, door in enumerate(doors(queue)):
        for text in IDS if number == 0 else IDS[number::17]:
            said = await refused(door, text)
            assert "job id " in said
            assert len(said) < 300
            assert not BAD.search(said), ascii(said)
    assert stage.digest() == {}


def test_nor_does_one_of_a_blocking_program(url: str, stage: Stage) -> None:
    queue = aqueue.sync.Queue("default", url)
    calls: list[Callable[[str], Any]] = [
        lambda text: queue.enqueue(jobs.echo, 1, job_id=text),
        lambda text: queue.fetch_job(text),
        lambda text: aqueue.sync.Job.fetch(text, url),
        lambda text: queue.failed_job_registry.requeue(text),
        lambda text: queue.remove(text),
    ]
    for call in calls:
        for text in IDS[::5]:
            with pytest.raises(SettingsError, match="job id "):
                call(text)
    assert stage.digest() == {}


def test_nor_does_a_command(url: str, invoke: Invoke) -> None:
    commands = ["show", "cancel", "stop", "delete", "requeue", "enqueue tests.tasks.say_hello --job-id"]
    for number, command in enumerate(commands):
        for text in IDS[number::500]:
            if text.startswith("-") or "\0" in text or "\ud800" in text:
                continue  # options; and what no command line can hold
            ended = invoke(*command.split(), text)
            assert ended.exit_code == 2, (command, text)
            assert not BAD.search(ended.stderr), ascii(ended.stderr)
            assert len(ended.stderr) < 400


def test_names_of_queues_and_namespaces_neither(url: str) -> None:
    for text in [*IDS[::7], "a:b", "a@b"]:
        for make in (
            lambda text=text: Queue(text),
            lambda text=text: Worker(text),
            lambda text=text: Worker("q", name=text),
            lambda text=text: open_namespace(namespace=text),
        ):
            with pytest.raises(SettingsError, match=r"name|at least one queue"):
                make()


async def test_what_redis_lists_stops_no_worker(stage: Stage, queue: Queue) -> None:
    """Jobs of such ids fail, as far as they have a record; their neighbours run."""
    raw = [text.encode("utf-8", "surrogatepass") for text in IDS if len(text) < 2_000][::10]
    filled = stage.db.pipeline(transaction=False)
    for number, name in enumerate(raw):
        record = {
            "status": "queued",
            "queue": "default",
            "function": "tests.security.jobs.forged",
            "data": b"x",
        }
        filled.hset(stage.keys.prefix.encode() + b"job:" + name, mapping=record)
        filled.zadd(stage.keys.registry("queue", "default"), {name: number})
    filled.execute()
    good = await queue.enqueue(jobs.echo, 5)

    await burst(queue)

    assert await good.wait(timeout=5) == 5
    assert await queue.count() == 0
    errors = {stage.db.hget(stage.keys.prefix.encode() + b"job:" + name, "error_type") for name in raw}
    assert errors <= {b"PayloadError", None}
    assert b"PayloadError" in errors
