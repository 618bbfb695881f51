"""`aqueue jobs`: lists of any registry, whatever stands in them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from aqueue import Queue, Worker
from aqueue.inspection import list_jobs
from tests import tasks
from tests.cli.conftest import Invoke, Open
from tests.cli.hands import enqueue, make_failed
from tests.servers import Server, free_port
from tests.support import claim

KEYS = {
    "id", "status", "queue", "function", "description", "priority", "created_at", "enqueued_at", "started_at",
    "ended_at", "due_at", "lease_until", "removed_at", "worker_name", "error",
}  # fmt: skip

Listed = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def listed(invoke: Invoke) -> Listed:
    """What a list holds, as JSON."""

    def run(*args: str) -> list[dict[str, Any]]:
        document = json.loads(invoke("jobs", *args, "--json").stdout)
        assert document.keys() == {"registry", "total", "jobs"}
        found: list[dict[str, Any]] = document["jobs"]
        assert all(job.keys() == KEYS for job in found)
        return found

    return run


def test_waiting_jobs_are_listed_in_their_order(queue: Queue, invoke: Invoke) -> None:
    enqueue(queue, tasks.add, 1, 2, job_id="a")
    enqueue(queue, tasks.add, 1, 2, job_id="b", priority=5)

    lines = re.sub(r"\d+ s ago", "lately", invoke("jobs").stdout).splitlines()

    assert [line.split() for line in lines] == [
        ["id", "status", "queue", "function", "when"],
        ["b", "queued", "default", "tests.tasks.add", "lately"],
        ["a", "queued", "default", "tests.tasks.add", "lately"],
        [],
        ["2", "queued", "jobs"],
    ]
    assert lines[1].index("queued") == lines[0].index("status")


def test_failed_jobs_are_listed_with_their_errors(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "a")

    lines = invoke("jobs", "failed").stdout.splitlines()

    assert lines[1].endswith("ago  ValueError: it is broken")
    assert lines[-1] == "1 failed job"


def test_every_registry_is_listed_as_json(queue: Queue, listed: Listed) -> None:
    async def fill() -> None:
        await queue.enqueue("m.f", job_id="queued", description="to do", ttl=1_000)
        await queue.enqueue_in("1h", "m.f", job_id="scheduled")
        await (await queue.enqueue("m.f", job_id="canceled")).cancel()
        await other.enqueue(tasks.add, 1, 2, job_id="finished")
        await other.enqueue(tasks.add, 1, 2, job_id="kept", result_ttl=-1)
        await other.enqueue(tasks.div_by_zero, 1, job_id="failed")
        await Worker([other]).work(burst=True)

    other = Queue("other")
    asyncio.run(fill())

    for status in ("queued", "scheduled", "canceled", "failed"):
        [job] = listed(status)
        assert (job["id"], job["status"]) == (status, status)
    [queued] = listed("queued")
    assert (queued["description"], queued["function"], queued["error"]) == ("to do", "m.f", None)
    assert queued["enqueued_at"].endswith("+00:00")
    assert listed("scheduled")[0]["due_at"] > queued["enqueued_at"]
    [failed] = listed("failed")
    assert failed["error"]["type"] == "ZeroDivisionError"
    assert failed["removed_at"] > failed["ended_at"]
    finished, kept = listed("finished")
    assert (finished["id"], kept["id"], kept["removed_at"]) == ("finished", "kept", None)
    assert finished["worker_name"]
    assert listed("started") == listed("deferred") == listed("expired") == []


def test_running_jobs_are_listed_with_the_end_of_their_lease(queue: Queue, listed: Listed) -> None:
    async def claim_one() -> None:
        await queue.enqueue("m.f")
        await claim(queue.space)

    asyncio.run(claim_one())

    [job] = listed("started")
    assert job["status"] == "started"
    assert job["lease_until"] > job["started_at"]


def test_several_queues_are_merged_by_time(url: str, server: Server, namespace: str, listed: Listed) -> None:
    for at, (job_id, name) in enumerate((("a", "one"), ("b", "two"), ("c", "one"), ("d", "three"))):
        enqueue(Queue(name), tasks.add, 1, 2, job_id=job_id)
        with server.client() as redis:
            redis.hset(f"{{{namespace}}}:job:{job_id}", "enqueued_at", 1_700_000_000_000 + at)

    def ids(*args: str) -> str:
        return "".join(job["id"] for job in listed("queued", *args))

    assert (ids(), ids("--newest")) == ("abcd", "dcba")
    assert (ids("-q", "one"), ids("-q", "one", "-q", "two")) == ("ac", "abc")
    assert (ids("--limit", "2"), ids("--limit", "2", "--offset", "1")) == ("ab", "bc")
    assert (ids("-q", "one", "--offset", "1"), ids("--offset", "9")) == ("c", "")
    assert ids("--newest", "--limit", "1", "--offset", "1") == "c"


def test_a_part_of_a_list_says_where_the_rest_is(queue: Queue, invoke: Invoke) -> None:
    for _ in range(5):
        enqueue(queue, tasks.add, 1, 2)

    shown = invoke("jobs", "--limit", "2", "--offset", "1").stdout

    assert shown.splitlines()[-1] == "2 to 3 of 5 queued jobs; more with --offset 3"
    assert invoke("jobs", "--offset", "9").stdout == "5 queued jobs\n"
    assert invoke("jobs", "-q", "unknown").stdout == "0 queued jobs\n"


def test_what_others_wrote_is_shown_and_can_do_no_harm(
    queue: Queue, server: Server, namespace: str, invoke: Invoke
) -> None:
    enqueue(queue, tasks.add, 1, 2, job_id="fine")
    prefix = f"{{{namespace}}}:"
    hostile: dict[Any, Any] = {
        "status": "queued",
        "function": "\x1b[2J\u202e" + "x" * 1_000,
        "enqueued_at": "soon",
    }
    with server.client() as redis:
        redis.zadd(f"{prefix}queue:default", {"odd": 1e300, "none": 1e301, "list": 1e302, "no id\x1b[31m": 1})
        redis.hset(f"{prefix}job:odd", mapping=hostile)
        redis.lpush(f"{prefix}job:list", "x")

    result = invoke("jobs")
    jobs = {job["id"]: job for job in json.loads(invoke("jobs", "--json").stdout)["jobs"]}

    assert (result.exit_code, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 200
    assert jobs["fine"]["function"] == "tests.tasks.add"
    assert [jobs[name]["status"] for name in ("odd", "none", "list", "no id\x1b[31m")] == [
        "queued", "unreadable", "unreadable", "unreadable",
    ]  # fmt: skip
    assert jobs["odd"]["enqueued_at"] is None
    assert len(jobs["odd"]["function"]) == 500


async def test_large_arguments_stay_in_redis(queue: Queue, server: Server) -> None:
    for _ in range(3):
        await queue.enqueue("m.f", "x" * 500_000)
    with server.client() as client:
        redis: Any = client
        before = redis.info("stats")["total_net_output_bytes"]
        listing = await list_jobs("queue")
        after = redis.info("stats")["total_net_output_bytes"]

    assert listing.total == len(listing.rows) == 3
    assert after - before < 50_000


def test_a_terminal_gets_no_line_that_is_longer_than_it(queue: Queue, open_terminal: Open) -> None:
    make_failed(queue, "a" * 100)

    terminal = open_terminal("jobs", "failed", columns=60)

    assert terminal.wait() == 0
    assert "1 failed job" in terminal.text
    assert max(len(line.rstrip("\r")) for line in terminal.text.split("\n")) <= 60


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nonsense\x1b"], "there is no registry 'nonsense\\x1b': name one of queued, scheduled"),
        (["stopped"], "aqueue jobs failed"),
        (["--limit", "0"], "--limit=0"),
        (["--limit", "1001"], "--limit=1001"),
        (["--offset", "-1"], "--offset=-1"),
        (["-q", "no queue"], "queue name"),
    ],
)
def test_wrong_usage_is_exit_2_before_redis_is_asked(args: list[str], message: str, invoke: Invoke) -> None:
    result = invoke("jobs", *args, "-u", f"redis://127.0.0.1:{free_port()}")

    assert result.exit_code == 2
    assert message in result.stderr


def test_an_unreachable_redis_is_exit_4(invoke: Invoke) -> None:
    assert invoke("jobs", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4
