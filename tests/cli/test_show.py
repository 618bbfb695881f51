"""`aqueue show`: one job whole, and nothing of it decoded unless asked for."""

from __future__ import annotations

import asyncio
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, Queue, Retry, Worker
from aqueue.cli import job_facts
from tests import tasks
from tests.cli import jobs
from tests.cli.conftest import Invoke
from tests.cli.hands import enqueue, make_failed
from tests.servers import Server, free_port

NUMBERS = (
    "timeout", "ttl", "result_ttl", "failure_ttl", "priority", "retry", "created_at", "enqueued_at",
    "started_at", "ended_at", "attempts", "lost", "releases", "incarnation",
)  # fmt: skip


class Trap:
    """Pickled data that makes a file when it is decoded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def failed(queue: Queue) -> Queue:
    """A job `a` that failed twice, with all that a job can have."""

    async def fail() -> None:
        await queue.enqueue(
            jobs.fail, job_id="a", description="nightly", priority=5, meta={"a": 1}, ttl="1h",
            job_timeout="1m", retry=Retry(max=1), failure_ttl=-1,
        )  # fmt: skip
        await Worker([queue], name="web1").work(burst=True)
        await (await Job.fetch("a")).requeue()
        await Worker([queue], name="web1").work(burst=True)

    asyncio.run(fail())
    return queue


def test_a_failed_job_is_shown_whole(failed: Queue, invoke: Invoke) -> None:
    result = invoke("show", "a")

    assert (result.exit_code, result.stderr) == (0, "")
    head, error, earlier = result.stdout.split("\n\n")
    told = {line[:17].strip(): line[17:].strip() for line in head.splitlines()}
    assert re.fullmatch(r"[\d-]{10} [\d:]{8} UTC, \d+ s ago", told["created at"])
    assert {name: text for name, text in told.items() if not name.endswith(" at")} == {
        "id": "a", "status": "failed", "queue": "default", "function": "tests.cli.jobs.fail",
        "description": "nightly", "priority": "5", "worker name": "web1", "timeout": "60 s", "ttl": "3,600 s",
        "result ttl": "500 s", "failure ttl": "no limit", "retries": "1", "retries left": "0",
        "failed attempts": "1", "incarnation": "1", "signed": "no",
        "arguments bytes": told["arguments bytes"], "meta bytes": told["meta bytes"],
    }  # fmt: skip
    assert error.startswith("error\n  Traceback (most recent call last):\n")
    assert error.endswith("\n  ValueError: it is broken")
    lines = earlier.splitlines()
    assert lines[0] == "earlier executions, the last one first"
    assert [line.split()[0] for line in lines[1:]] == ["retried", "failed", "retried"]
    assert lines[2].endswith(" s ago, by web1: ValueError: it is broken")


def test_json_has_all_of_it_under_stable_keys(failed: Queue, invoke: Invoke) -> None:
    found = json.loads(invoke("show", "a", "--json").stdout)
    enqueue(failed, tasks.add, 1, 2, job_id="b")
    enqueue(failed, tasks.add, 1, 2, job_id="c")
    waiting = json.loads(invoke("show", "c", "--json").stdout)

    assert (found["status"], found["retries"], found["retries_left"], found["failure_ttl"]) == (
        "failed",
        1,
        0,
        -1,
    )
    assert (found["removed_at"], found["position"]) == (None, None)
    assert found["error"]["type"] == "ValueError"
    assert found["error"]["traceback"].endswith("ValueError: it is broken")
    assert [past["status"] for past in found["earlier"]] == ["retried", "failed", "retried"]
    assert found["earlier"][0]["error"].keys() == found["error"].keys()
    assert found.keys() == waiting.keys()
    assert (waiting["status"], waiting["position"], waiting["earlier"]) == ("queued", 1, [])
    assert waiting["arguments_bytes"] > 0
    assert (waiting["meta_bytes"], waiting["result_bytes"], waiting["error"]) == (None, None, None)


def test_decode_shows_what_it_carries(queue: Queue, invoke: Invoke) -> None:
    async def run() -> None:
        await queue.options(job_id="a", meta={"k": "v\x1b"}).enqueue(tasks.say_hello, name="you")
        await Worker([queue]).work(burst=True)

    asyncio.run(run())
    shown = invoke("show", "a", "--decode").stdout
    found = json.loads(invoke("show", "a", "--decode", "--json").stdout)

    assert (found["args"], found["kwargs"], found["result"]) == ("()", "{'name': 'you'}", "'Hello, you!'")
    assert found["meta"] == r"{'k': 'v\x1b'}"
    assert "'Hello, you!'" in shown
    assert "\x1b" not in shown


def test_nothing_is_decoded_unless_asked_for(queue: Queue, tmp_path: Path, invoke: Invoke) -> None:
    trap = Trap(tmp_path / "sprung")
    enqueue(queue, "m.f", trap, job_id="a", meta={"trap": trap})

    for args in (
        ["show", "a"],
        ["show", "a", "--json"],
        ["jobs"],
        ["jobs", "--json"],
        ["delete", "nope"],
        ["info"],
    ):
        invoke(*args)
    assert not trap.path.exists()

    assert invoke("show", "a", "--decode").exit_code == 0
    assert trap.path.exists()


def test_what_cannot_be_decoded_is_said(queue: Queue, server: Server, namespace: str, invoke: Invoke) -> None:
    enqueue(queue, "m.f", job_id="a")
    with server.client() as redis:
        redis.hset(f"{{{namespace}}}:job:a", mapping={"data": b"junk\x1b", "meta": pickle.dumps(5)})

    result = invoke("show", "a", "--decode", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["args"].startswith("(the arguments of job 'a' cannot be decoded")


def test_what_is_signed_is_decoded_with_the_key_alone(
    url: str, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.setenv("AQUEUE_SIGNING_KEY", "k" * 32)
    enqueue(Queue(), "m.f", "secret", job_id="a")
    known = json.loads(invoke("show", "a", "--decode", "--json").stdout)
    monkeypatch.delenv("AQUEUE_SIGNING_KEY")
    unknown = json.loads(invoke("show", "a", "--decode", "--json").stdout)

    assert (known["signed"], known["args"]) == (True, "('secret',)")
    assert unknown["signed"]
    assert "is signed, and this program has no signing key" in unknown["args"]


def test_a_record_that_others_wrote_is_shown_and_can_do_no_harm(
    queue: Queue, server: Server, namespace: str, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.setattr(job_facts, "WHOLE_TEXT", 1_000)
    texts = ["queue", "function", "description", "worker_name", "request", "error_type"]
    junk: dict[Any, Any] = dict.fromkeys(NUMBERS, b"junk\xff") | dict.fromkeys(texts, "\x1b[2J\n")
    junk |= {"status": "odd\x07", "exc_info": "\x1b" * 5_000}
    with server.client() as redis:
        redis.hset(f"{{{namespace}}}:job:a", mapping=junk)
        redis.lpush(f"{{{namespace}}}:history:a", b"3:odd")
        huge = {
            "status": "failed",
            "enqueued_at": "9" * 400,
            "timeout": "9" * 400 + "1",
            "worker_name": "x" * 9_999,
        }
        redis.hset(f"{{{namespace}}}:job:b", mapping={**huge, "retry": '{"max": Infinity}'})

    result = invoke("show", "a")
    found = json.loads(invoke("show", "a", "--json").stdout)

    assert (result.exit_code, result.stderr) == (0, "")
    assert not {"\x1b", "\x07", "\r"} & set(result.stdout)
    assert "earlier executions: their record is damaged" in result.stdout
    assert (found["status"], found["timeout"], found["retries"], found["earlier"]) == (
        "odd\x07",
        None,
        None,
        None,
    )
    assert len(found["error"]["traceback"]) == 1_000
    huge = json.loads(invoke("show", "b", "--json").stdout, parse_constant=pytest.fail)
    assert (huge["timeout"], huge["retries"], huge["retries_left"]) == (None, None, None)
    assert len(huge["worker_name"]) < 1_000
    assert invoke("show", "b").exit_code == 0


def test_no_such_job_is_exit_3(queue: Queue, invoke: Invoke) -> None:
    result = invoke("show", "nope")

    assert (result.exit_code, result.stdout) == (3, "")
    assert "no job 'nope'" in result.stderr
    make_failed(queue, "a")
    invoke("delete", "a")
    assert invoke("show", "a", "--decode").exit_code == 3


def test_wrong_usage_is_exit_2(url: str, invoke: Invoke) -> None:
    assert invoke("show").exit_code == 2
    assert invoke("show", "a", "b").exit_code == 2
    assert invoke("show", "a b").exit_code == 2


def test_an_unreachable_redis_is_exit_4(invoke: Invoke) -> None:
    assert invoke("show", "a", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4
