"""`aqueue enqueue`: calls by name, with RQ's forms of arguments, and their ends."""

from __future__ import annotations

import asyncio
import functools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from aqueue import Job, Queue, Worker, cancel_job
from aqueue._redis import coalescer
from aqueue._redis.operations import _SCRIPTS
from aqueue.cli import app as commands
from aqueue.cli import ending
from tests.api.proxy import Proxy
from tests.cli.conftest import Invoke
from tests.cli.hands import make_failed, statuses
from tests.servers import free_port
from tests.support import wait_until


def fetch(job_id: str) -> Job[Any]:
    return asyncio.run(Job.fetch(job_id))


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in the test's own loop; its exit code, output and errors."""

    async def run(*args: str) -> tuple[int, str, str]:
        given: list[Any] = []
        monkeypatch.setattr(commands, "finish", given.append)
        typer.main.get_command(commands.app).main(["enqueue", *args], standalone_mode=False)
        code = await ending.outcome(given[0])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_a_call_is_enqueued_and_its_id_printed(url: str, invoke: Invoke) -> None:
    result = invoke("enqueue", "tests.tasks.add", ":1", "b:=2")

    assert (result.exit_code, result.stderr) == (0, "")
    job = fetch(result.stdout.strip())
    assert (job.func_name, job.args, job.kwargs) == ("tests.tasks.add", (1,), {"b": 2})
    assert (job.status, job.origin) == ("queued", "default")


def test_the_function_need_not_exist_here(url: str, invoke: Invoke) -> None:
    assert invoke("enqueue", "elsewhere.tasks.f", "a", "b=c").exit_code == 0


def test_every_option_reaches_the_job(url: str, invoke: Invoke) -> None:
    result = invoke(
        "enqueue", "m.f", "-q", "low", "--timeout", "-1", "--result-ttl", "1h", "--ttl", "43",
        "--failure-ttl", "2d", "--description", "nightly", "--job-id", "mine", "--priority", "-5",
        "--retry-max", "3", "--retry-interval", "10", "--retry-interval", "1m",
        "--executor", "process",
    )  # fmt: skip

    assert (result.exit_code, result.stdout) == (0, "mine\n")
    job = fetch("mine")
    assert (job.origin, job.timeout, job.result_ttl, job.ttl) == ("low", -1, 3600, 43)
    assert (job.failure_ttl, job.description, job.priority, job.retries_left) == (172_800, "nightly", -5, 3)
    assert job._record.executor == "process"
    assert job._record.retry.waits == (10_000, 60_000)


def test_options_and_arguments_of_the_same_name_are_kept_apart(url: str, invoke: Invoke) -> None:
    invoke("enqueue", "m.f", "ttl:=5", "job_id=theirs", "--job-id", "mine")

    assert (fetch("mine").kwargs, fetch("mine").ttl) == ({"ttl": 5, "job_id": "theirs"}, None)


def test_at_front_is_before_the_others(queue: Queue, invoke: Invoke) -> None:
    for job_id, *front in (["a"], ["b"], ["c", "--at-front"]):
        invoke("enqueue", "m.f", "--job-id", job_id, *front)

    assert asyncio.run(queue.get_job_ids()) == ["c", "a", "b"]


@pytest.mark.parametrize("option", ["--in", "--schedule-in"])
def test_in_makes_it_due_later(option: str, queue: Queue, invoke: Invoke) -> None:
    invoke("enqueue", "m.f", "--job-id", "mine", option, "5m")

    due = asyncio.run(queue.scheduled_job_registry.get_scheduled_time("mine"))
    assert timedelta(minutes=4) < due - datetime.now(UTC) <= timedelta(minutes=5, seconds=1)


@pytest.mark.parametrize(
    ("option", "when", "expected"),
    [
        ("--at", "2090-12-01T09:00+01:00", datetime(2090, 12, 1, 8, tzinfo=UTC)),
        ("--schedule-at", "2090-12-01T09:00:30", datetime(2090, 12, 1, 9, 0, 30).astimezone(UTC)),
    ],
)
def test_at_makes_it_due_then(
    option: str, when: str, expected: datetime, queue: Queue, invoke: Invoke
) -> None:
    invoke("enqueue", "m.f", "--job-id", "mine", option, when)

    due = asyncio.run(queue.scheduled_job_registry.get_scheduled_time("mine"))
    assert abs(due - expected) < timedelta(seconds=1)


def test_json_is_one_document(url: str, invoke: Invoke) -> None:
    result = invoke("enqueue", "m.f", "--job-id", "mine", "--json")
    later = json.loads(invoke("enqueue", "m.f", "--in", "1h", "--json").stdout)

    assert json.loads(result.stdout) == {
        "id": "mine", "queue": "default", "function": "m.f", "status": "queued"
    }  # fmt: skip
    assert later["status"] == "scheduled"


async def test_wait_prints_the_result(queue: Queue, command: Any) -> None:
    async with Worker([queue]).running():
        plain = await command("tests.tasks.say_hello", "a\x1b[31m", "--job-id", "a", "--wait")
        code, document, _ = await command("tests.tasks.add", ":1", ":2", "--job-id", "b", "--wait", "--json")

    assert plain == (0, "a\n'Hello, a\\x1b[31m!'\n", "")
    assert (code, json.loads(document)) == (
        0,
        {"id": "b", "queue": "default", "function": "tests.tasks.add", "status": "finished",
         "result": 3, "error": None},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("returned", "shown"),
    [("{1: (2, None)}", {"1": [2, None]}), ("{1}", "{1}"), ("[b'x']", ["b'x'"]), ("{(1,): 2}", "{(1,): 2}")],
)
async def test_a_result_that_json_cannot_say_is_its_repr(
    returned: str, shown: Any, queue: Queue, command: Any
) -> None:
    async with Worker([queue]).running():
        _, document, _ = await command("copy.copy", f"%{returned}", "--wait", "--json")

    assert json.loads(document)["result"] == shown


async def test_wait_exits_1_when_it_does_not_finish(queue: Queue, command: Any) -> None:
    async with Worker([queue]).running():
        failed = await command("tests.cli.jobs.fail", "--job-id", "a", "--wait")
        code, document, said = await command("tests.cli.jobs.fail", "--wait", "--json", "--job-id", "b")

    assert failed[:2] == (1, "a\n")
    assert failed[2].endswith("aqueue: job 'a' failed: ValueError: it is broken\n")
    assert (code, json.loads(document)["status"], json.loads(document)["result"]) == (1, "failed", None)
    assert json.loads(document)["error"] == {"type": "ValueError", "message": "it is broken"}
    assert said.endswith("aqueue: job 'b' failed: ValueError: it is broken\n")


async def test_wait_tells_of_a_canceled_job(queue: Queue, command: Any) -> None:
    waiting = asyncio.create_task(command("m.f", "--job-id", "a", "--wait", "--json"))
    await wait_until(functools.partial(Job.exists, "a"))
    await cancel_job("a")
    code, document, said = await waiting

    assert (code, json.loads(document)["error"]["type"]) == (1, "JobCanceled")
    assert said == "aqueue: job 'a' was canceled\n"


def test_path_looks_whether_the_function_is_there(url: str, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "my_own_tasks.py").write_text("def f(): pass\nvalue = 1\n")
    (tmp_path / "my_broken_tasks.py").write_text("raise OSError('no\\x1b disk')\n")

    assert invoke("enqueue", "my_own_tasks.f", "-P", str(tmp_path)).exit_code == 0
    for function, message in {
        "my_own_tasks.g": "there is no function my_own_tasks.g in the folders of --path",
        "my_own_tasks.value": "my_own_tasks.value is a int, not a function",
        "my_broken_tasks.f": "importing my_broken_tasks.f raised OSError: no\\x1b disk",
    }.items():
        result = invoke("enqueue", function, "-P", str(tmp_path))

        assert result.exit_code == 2
        assert message in result.stderr
    assert invoke("enqueue", "m.f", "-P", "/no/such/folder").exit_code == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], ""),
        (["function"], "is not an import path"),
        (["a.b", "http://x?a=b"], "argument 1"),
        (["a.b", ":{"], "not JSON"),
        (["a.b", "--timeout", "soon"], "job_timeout='soon' is not a duration"),
        (["a.b", "--ttl", "-1"], "ttl='-1'"),
        (["a.b", "--executor", "rocket"], "rocket"),
        (["a.b", "--priority", "101"], "priority=101"),
        (["a.b", "--job-id", "a b"], "job id 'a b'"),
        (["a.b", "-q", "a b"], "queue name 'a b'"),
        (["a.b", "--retry-interval", "5"], "--retry-max"),
        (["a.b", "--retry-max", "-1"], "Retry(max)"),
        (["a.b", "--in", "soon"], "--in='soon' is not a duration"),
        (["a.b", "--at", "soon\x1b"], "--at 'soon\\x1b' is not a date and time"),
        (["a.b", "--in", "5", "--at", "2090-01-01"], "not both"),
        (["a.b", "--depends-on", "c"], "--depends-on is not supported yet"),
    ],
)
def test_wrong_usage_is_exit_2_before_redis_is_asked(args: list[str], message: str, invoke: Invoke) -> None:
    result = invoke("enqueue", *args, "-u", f"redis://127.0.0.1:{free_port()}")

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_serializer_is_named(url: str, invoke: Invoke) -> None:
    invoke("enqueue", "m.f", "%(1,)", "--serializer", "json", "--job-id", "mine")

    job = asyncio.run(Job.fetch("mine", serializer="json"))
    assert job.args == ((1,),)
    assert invoke("enqueue", "m.f", "--serializer", "morse").exit_code == 2


def test_a_redis_that_is_not_local_needs_a_key_or_trust(
    monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    monkeypatch.delenv("AQUEUE_TRUST_REDIS", raising=False)
    far = ("-u", "redis://redis.invalid")
    result = invoke("enqueue", "m.f", *far)

    assert result.exit_code == 2
    assert "AQUEUE_SIGNING_KEY" in result.stderr
    assert invoke("enqueue", "m.f", *far, "--trust-redis").exit_code == 4
    assert invoke("enqueue", "m.f", *far, "--serializer", "json").exit_code == 4


def test_an_id_that_is_taken_is_exit_1(queue: Queue, invoke: Invoke) -> None:
    invoke("enqueue", "m.f", "--job-id", "mine")
    make_failed(Queue("other"), "ended")

    result = invoke("enqueue", "m.f", "--job-id", "mine")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "a job 'mine' exists already and is queued" in result.stderr
    assert invoke("enqueue", "m.f", "--job-id", "ended").exit_code == 0
    assert statuses("ended") == ["queued"]


def test_too_large_a_job_is_exit_1(url: str, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "large").write_text("x" * 1_048_576)

    result = invoke("enqueue", "m.f", f"@{tmp_path}/large")

    assert result.exit_code == 1
    assert "more than the 1,048,576 allowed" in result.stderr


def test_an_unreachable_redis_is_exit_4(invoke: Invoke) -> None:
    assert invoke("enqueue", "m.f", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4


async def test_a_lost_reply_is_told_with_what_to_do(
    namespace: str, url: str, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.setattr(coalescer, "PATIENCE", 0.2)
    async with Proxy(url) as proxy:
        await command("m.f", "-u", proxy.url)  # loads the script
        proxy.on(_SCRIPTS["enqueue"].sha.encode(), "cut after", times=float("inf"))
        code, shown, said = await command("m.f", "-u", proxy.url, "--job-id", "mine")

    assert (code, shown) == (4, "")
    assert "it is not known whether job 'mine' was enqueued" in said
    assert "look with `aqueue show mine`, or repeat it with --job-id mine" in said
    assert "error.retry" not in said
