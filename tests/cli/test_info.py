"""`aqueue info`: queues and workers for people, programs and terminals."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from aqueue import Queue, Worker
from aqueue.workers import all_workers, paused_queues, queue_counts
from tests import tasks
from tests.cli.conftest import Invoke, Open, Start
from tests.cli.hands import enqueue, make_failed, wait_for_status
from tests.servers import Server, free_port
from tests.support import wait_until

ZERO = dict.fromkeys(
    ("queued", "scheduled", "started", "finished", "failed", "deferred", "canceled", "expired"), 0
)


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """Two failed, one finished and three queued jobs, and a paused queue with a scheduled one."""
    make_failed(queue, "a", "b")
    enqueue(queue, tasks.add, 1, 2)
    asyncio.run(Worker([queue]).work(burst=True))
    for _ in range(3):
        enqueue(queue, tasks.add, 1, 2)
    low = Queue("low")

    async def schedule() -> None:
        await low.enqueue_in("1h", tasks.add, 1, 2)
        await low.pause()

    asyncio.run(schedule())
    return queue


@pytest.fixture
def worker(queue: Queue, start: Start) -> str:
    """A worker that runs a job and has beaten; the job's id."""
    job_id = enqueue(queue, tasks.nap, 60)
    start("worker", "default", "low", "-n", "web1", "-c", "7", "--lease", "1")
    wait_for_status(job_id, "started")

    async def is_busy() -> bool:
        return any(worker.state == "busy" for worker in await all_workers())

    asyncio.run(wait_until(is_busy))
    return job_id


def test_an_empty_namespace_is_one_line(url: str, invoke: Invoke) -> None:
    result = invoke("info")

    assert (result.exit_code, result.stdout) == (0, "0 queues, 0 workers, 0 jobs queued, 0 running\n")


def test_queues_are_aligned_lines(filled: Queue, invoke: Invoke) -> None:
    assert invoke("info").stdout == (
        "queue    queued  scheduled  started  finished  failed\n"
        "default       3          0        0         1       2\n"
        "low           0          1        0         0       0  paused\n"
        "\n"
        "2 queues, 0 workers, 3 jobs queued, 0 running\n"
    )


def test_only_the_queues_that_are_named(filled: Queue, invoke: Invoke) -> None:
    lines = invoke("info", "default", "unknown").stdout.splitlines()

    assert [line.split() for line in lines[1:3]] == [
        ["default", "3", "0", "1", "2"],
        ["unknown", "0", "0", "0", "0"],
    ]
    assert invoke("info", "no queue").exit_code == 2


def test_workers_are_shown_with_what_they_do(worker: str, invoke: Invoke) -> None:
    lines = invoke("info").stdout.splitlines()

    at = next(number for number, line in enumerate(lines) if line.startswith("worker"))
    shown = dict(zip(lines[at].split(), lines[at + 1].split(maxsplit=9), strict=False))
    assert (shown["worker"], shown["state"], shown["running"]) == ("web1", "busy", "1/7")
    assert lines[at + 1].endswith("ago  default,low")
    assert lines[at + 2 : at + 4] == [f"web1 runs {worker}", ""]
    assert "1 worker" in invoke("info", "low").stdout
    assert "0 workers" in invoke("info", "other").stdout


def test_json_is_one_document(filled: Queue, worker: str, invoke: Invoke) -> None:
    document = json.loads(invoke("info", "--json").stdout)

    default, low = document["queues"]
    assert low == {"name": "low", "paused": True, **ZERO, "scheduled": 1}
    assert (default["name"], default["paused"], default["failed"]) == ("default", False, 2)
    assert default["started"] >= 1
    assert default.keys() == low.keys()
    [found] = document["workers"]
    assert (found["name"], found["queues"], found["concurrency"]) == ("web1", ["default", "low"], 7)
    assert found["silent"] is False
    assert found["heartbeat_age"] < 5
    assert found["birth_date"].endswith("+00:00")
    assert found["last_heartbeat"].endswith("+00:00")
    assert found["current_job_ids"] == [worker]


def test_a_terminal_shows_bars(filled: Queue, worker: str, open_terminal: Open) -> None:
    for columns in (80, 120):
        terminal = open_terminal("info", columns=columns)

        assert terminal.wait() == 0
        assert "━━━━━━━━" in terminal.text
        assert "low paused" in terminal.text
        assert f"web1 runs {worker}" in terminal.text
        assert "…" not in terminal.text
        assert max(map(len, terminal.text.splitlines())) <= columns


def test_interval_shows_it_again_until_ctrl_c(filled: Queue, open_terminal: Open, start: Start) -> None:
    terminal = open_terminal("info", "-i", "0.05")
    terminal.read_until("2 queues, 0 workers", times=3)
    terminal.interrupt()
    assert terminal.wait() == 0
    assert "Traceback" not in terminal.text

    piped = start("info", "--json", "--interval", "50ms")
    assert piped.stdout is not None
    documents = [json.loads(piped.stdout.readline()) for _ in range(3)]
    piped.send_signal(signal.SIGINT)
    assert piped.wait(10) == 0
    assert documents[0] == documents[2]


def test_an_interval_that_is_none_is_a_usage_error(url: str, invoke: Invoke) -> None:
    for text in ("0", "soon", "-1"):
        assert invoke("info", "-i", text).exit_code == 2


@pytest.fixture
def hostile(server: Server, namespace: str, url: str) -> None:
    """Names that somebody wrote into Redis past all checks."""
    prefix = f"{{{namespace}}}:"
    evil = b"evil\x1b[2J\x9b31m\x07\xff[bold red]" + b"x" * 5_000
    with server.client() as client:
        client.sadd(f"{prefix}queues", evil)
        client.zadd(f"{prefix}workers", {b"w\x1b]0;owned\x07\xff": 9e15, b"gone": 9e15})
        record = {"name": evil, "hostname": evil, "state": evil, "queues": evil + b" " + evil, "pid": evil}
        numbers = {
            "running": b"9" * 5_000,
            "jobs": evil + b" " + evil,
            "heartbeat": b"-1",
            "lease": b"NaN",
            "started_at": b"1e99",
        }
        client.hset(f"{prefix}worker:w\x1b]0;owned\x07�", mapping={**record, **numbers})


def test_hostile_names_are_shown_escaped_and_cut(hostile: None, invoke: Invoke, open_terminal: Open) -> None:
    terminal = open_terminal("info")
    assert terminal.wait() == 0
    for text in (invoke("info").stdout, terminal.text):
        assert r"evil\x1b[2J" in text
        assert not set("\x1b\x9b\x07").intersection(text)
        assert "1 queue, 1 worker" in text
        assert max(map(len, text.splitlines())) < 1_000
    assert "evil" in json.loads(invoke("info", "--json").stdout)["workers"][0]["name"]


def test_an_unreachable_redis_is_one_line_and_exit_4(invoke: Invoke) -> None:
    result = invoke("info", "-u", f"redis://me:s3cret@127.0.0.1:{free_port()}")

    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (4, "", 1)
    assert "s3cret" not in result.stderr


async def test_a_worker_leaves_the_list_when_it_ends(queue: Queue) -> None:
    worker = Worker(["default", "low"], name="mine", concurrency=3, lease=1)

    async with worker.running():
        [found] = await wait_until(all_workers)
        assert (found.id, found.name, found.queues) == (worker.id, "mine", ["default", "low"])
        assert (found.concurrency, found.lease, found.is_silent) == (3, 1, False)

    assert await all_workers() == []


async def test_counts_and_pauses_of_many_queues(queue: Queue) -> None:
    queues = [Queue(f"q{number:03}") for number in range(230)]
    for each in queues[::50]:
        await each.enqueue(tasks.add, 1, 2)
    await queues[3].pause()

    counts = await queue_counts(names=[each.name for each in queues])

    assert [name for name, found in counts.items() if found["queued"]] == [each.name for each in queues[::50]]
    assert list(await queue_counts()) == sorted({each.name for each in queues[::50]} | {"q003"})
    assert await paused_queues() == {"q003"}
