"""S21 and S22: what comes from Redis and from jobs cannot forge a line of a log, nor write to a terminal."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aqueue
from aqueue import Queue
from aqueue._core.logs import get_logger
from aqueue._redis import lookups
from aqueue.cli.logs import LineFormatter
from aqueue.errors import QueueUnavailable
from aqueue.worker.maintenance import Maintenance
from tests.cli.conftest import Invoke
from tests.cli.conftest import invoke as invoke
from tests.security import jobs
from tests.support import age, beat
from tests.transitions.conftest import stage as stage
from tests.transitions.stage import Stage
from tests.worker.hands import burst, take_away

#: Line ends, terminal sequences (7 and 8 bit), bidirectional overrides, what is not seen.
HOSTILE = [
    *(
        "a\r\nERROR forged",
        "a\nb",
        "a\rb",
        "\x1b[2J\x1b]0;title\x07",
        "\x1bP+q\x1b\\",
        "\x9b2J",
        "\x7f\x08\x08",
    ),
    *("a\u202eb\u2066c", "a\u2028b\u2029c", "a\x85b\x0b\x0c", "\u200b\ufeff", "a\0b", "\ufffd"),
]
BAD = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b\ufeff]")
PREFIXES = ("DEBUG|", "INFO|", "WARNING|", "ERROR|")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log of a program that has the plainest handler there is."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s|%(message)s"))
    own = logging.getLogger("aqueue")
    level = own.level
    own.addHandler(handler)
    own.setLevel(logging.DEBUG)
    yield stream
    own.removeHandler(handler)
    own.setLevel(level)


def lines_of(log: io.StringIO) -> list[str]:
    """Its lines, each a record of its own or part of a traceback."""
    text = log.getvalue()
    lines = text.split("\n")[:-1]
    assert not BAD.search(text), ascii(BAD.findall(text))
    assert not [line for line in lines if line.startswith("ERROR forged")]
    return lines


def raise_type(name: str) -> None:
    raise type(name, (Exception,), {})(name)


@pytest.mark.parametrize("text", HOSTILE)
async def test_a_record_is_one_line_whatever_a_job_or_redis_says(
    stage: Stage, queue: Queue, log: io.StringIO, text: str
) -> None:
    job_key, waiting = stage.keys.job(text), stage.keys.registry("queue", "default")
    failing = await queue.enqueue(jobs.fail, text)
    retried = await queue.enqueue(raise_type, "x" + text.replace("\0", ""), retry=1)
    unknown = await queue.enqueue("tests.nothing.here", 1)
    stage.db.hset(stage.keys.job(unknown.id), "function", f"no.such.{text}")
    stage.db.hset(job_key, mapping={"status": "queued", "queue": "default", "function": text, "data": text})
    stage.db.zadd(waiting, {text: 1})
    stage.db.hset(stage.keys.worker("w"), mapping={"name": text, "lease": text, "queues": text})
    stage.db.zadd(stage.keys.workers, {"w": 9e15})
    await burst(queue)
    lost = await queue.enqueue(jobs.echo, 1)
    await take_away(stage.space, lost, to="other")
    await age(stage.space, seconds=60)
    stage.db.zadd(stage.keys.registry("started", "default"), {text: 1})
    await beat(stage.space)
    stage.db.delete(stage.keys.hold)
    await Maintenance(stage.space, 30_000, refused=lambda error: None).round()

    lines = lines_of(log)
    assert all(line.startswith(PREFIXES) for line in lines), lines
    said = "\n".join(lines)
    for job in (failing, retried, lost):
        assert job.id in said
    assert "its id is none" in await last_error(stage, text)


async def last_error(stage: Stage, job_id: str) -> str:
    raw = stage.db.hget(stage.keys.job(job_id), "error_message")
    return "" if raw is None else str(raw.decode("utf-8", "replace"))


@pytest.mark.parametrize("text", HOSTILE)
def test_tracebacks_have_their_lines_and_nothing_else(log: io.StringIO, text: str) -> None:
    logger = get_logger("aqueue.worker")
    try:
        raise QueueUnavailable(text.replace("\n", "|"))
    except QueueUnavailable:
        logger.exception("it failed: %s %d %s", text, 5, None)

    first, *rest = lines_of(log)
    assert first.startswith("ERROR|it failed: ")
    assert first.endswith(" 5 None")
    assert rest[0] == "Traceback (most recent call last):"


@pytest.mark.parametrize("text", HOSTILE)
def test_the_commands_log_is_the_same(text: str) -> None:
    record = logging.LogRecord("app", logging.INFO, "", 1, text, (), None)

    assert not re.search(r"[\n\r]", LineFormatter().format(record))
    assert not BAD.search(LineFormatter().format(record))


def test_every_logger_of_ours_is_harmless() -> None:
    package = Path(aqueue.__file__).parent
    allowed = {"_core/logs.py", "cli/logs.py", "worker/child.py", "worker/child_output.py"}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "getLogger":
                assert path.relative_to(package).as_posix() in allowed, path


# -- commands


def plant(stage: Stage, text: str) -> None:
    """Hostile text in whatever the commands show."""
    keys, db = stage.keys, stage.db
    db.sadd(keys.queues, text, "default")
    db.hset(keys.meta(text), mapping={"paused": "1", "finished": text})
    names = (
        "function description worker_name token error_type error_message exc_info executor request queue "
        "retry timeout created_at priority incarnation meta data"
    )
    fields = dict.fromkeys(names.split(), text)
    for job_id in ("known", text):
        db.hset(keys.job(job_id), mapping={**fields, "status": "failed"})
        for registry in ("queue", "failed", "started", "scheduled"):
            db.zadd(keys.registry(registry, "default"), {job_id: 9e14})
            db.zadd(keys.registry(registry, text), {job_id: 1})
    db.rpush(keys.history("known"), text, "6:failed1:11:2" + f"{len(text.encode())}:{text}" * 4)
    facts = dict.fromkeys(
        ("name", "host", "pid", "state", "queues", "heartbeat", "lease", "jobs", "version"), text
    )
    for worker_id in ("w", text):
        db.hset(keys.worker(worker_id), mapping=facts)
        db.zadd(keys.workers, {worker_id: 9e15})


def test_commands_show_hostile_names_as_text(stage: Stage, invoke: Invoke) -> None:
    for text in HOSTILE:
        plant(stage, text)
    commands = [
        *("info", "jobs", "jobs failed", "jobs started", "show known", "show known --decode", "doctor"),
        *("cancel known", "requeue --all", "pause default"),
    ]
    for words in commands:
        ended = invoke(*words.split())
        assert ended.exit_code in (0, 1, 3), (words, ended.stderr)
        for shown in (ended.stdout, ended.stderr):
            assert not BAD.search(shown), (words, ascii(shown))
            assert "\nERROR forged" not in shown
        if words.startswith(("info", "jobs", "show", "doctor")):
            told = invoke(*words.split(), "--json").stdout
            assert not BAD.search(told), (words, ascii(told))
            json.loads(told)


def test_lists_of_names_do_not_stop_at_hostile_ones(stage: Stage) -> None:
    plant(stage, HOSTILE[0])
    found: Any = lookups.queue_names(stage.keys)
    assert found.decode([stage.db.smembers(stage.keys.queues)]) == sorted([HOSTILE[0], "default"])
