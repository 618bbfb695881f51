"""`aqueue worker`: what it runs, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from aqueue import Queue
from tests import tasks
from tests.cli import jobs
from tests.cli.conftest import ROOT, Invoke, Open, Start
from tests.cli.hands import enqueue, make_failed, statuses, wait_for_status
from tests.servers import Server, free_port
from tests.support import wait_until
from tests.worker import process_jobs

LINE = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARNING|ERROR) +\S"


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it logged."""
    _, logged = process.communicate(timeout=20)
    return process.returncode, logged


def test_a_burst_runs_what_waits_in_the_default_queue_and_exits_0(queue: Queue, invoke: Invoke) -> None:
    job_id = enqueue(queue, tasks.add, 1, 2)

    result = invoke("worker", "--burst")

    assert result.exit_code == 0
    assert statuses(job_id) == ["finished"]
    assert result.stdout == ""
    assert f"job {job_id} finished" in result.stderr
    assert "1 finished, 0 failed" in result.stderr


def test_queues_are_served_as_named_and_failures_are_counted(url: str, invoke: Invoke) -> None:
    ids = [enqueue(Queue(name), jobs.fail) for name in ("high", "low", "other")]

    result = invoke("worker", "high", "low", "-b", "-u", url, "-c", "5", "-n", "web1", "--lease", "1m")

    assert result.exit_code == 0
    assert statuses(*ids) == ["failed", "failed", "queued"]
    assert "worker web1 serves high, low" in result.stderr
    assert "5 at a time" in result.stderr
    assert "0 finished, 2 failed" in result.stderr


def test_max_jobs_ends_it(queue: Queue, invoke: Invoke) -> None:
    ids = [enqueue(queue, tasks.add, 1, 2) for _ in range(3)]

    assert invoke("worker", "--max-jobs", "2").exit_code == 0

    assert statuses(*ids) == ["finished", "finished", "queued"]


def test_max_idle_time_ends_it(queue: Queue, invoke: Invoke) -> None:
    job_id = enqueue(queue, tasks.add, 1, 2)

    assert invoke("worker", "--max-idle-time", "100ms").exit_code == 0

    assert statuses(job_id) == ["finished"]


def test_modules_are_imported_from_path_first(queue: Queue, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "only_here_tasks.py").write_text("def answer():\n    return 42\n")
    job_id = enqueue(queue, "only_here_tasks.answer")

    assert invoke("worker", "-b", "-P", str(tmp_path)).exit_code == 0

    assert statuses(job_id) == ["finished"]


def test_log_lines_are_plain_and_hostile_messages_are_escaped(queue: Queue, invoke: Invoke) -> None:
    enqueue(queue, jobs.log, "red \x1b[31m alarm \x07\n2026-01-01 00:00:00 ERROR forged")

    result = invoke("worker", "-b", "-v")

    assert r"INFO    red \x1b[31m alarm \x07\n2026" in result.stderr
    assert "started: tests.cli.jobs.log" in result.stderr
    assert not set("\x1b\x07").intersection(result.stderr)
    assert all(re.match(LINE, line) for line in result.stderr.splitlines()), result.stderr


def test_quiet_tells_only_of_what_went_wrong(queue: Queue, invoke: Invoke) -> None:
    enqueue(queue, tasks.add, 1, 2)
    enqueue(queue, jobs.fail, job_id="broken")

    lines = invoke("worker", "-b", "-q").stderr.splitlines()

    assert len(lines) == 1
    assert "WARNING job broken failed: ValueError: 'it is broken'" in lines[0]


def test_sigterm_gives_running_jobs_back_and_exits_0(queue: Queue, start: Start) -> None:
    job_id = enqueue(queue, tasks.nap, 30)
    process = start("worker", "--grace", "0")
    wait_for_status(job_id, "started")

    process.send_signal(signal.SIGTERM)

    code, logged = end(process)
    assert code == 0, logged
    assert statuses(job_id) == ["queued"]
    assert "Traceback" not in logged


def test_a_second_signal_skips_the_grace_and_exits_130(queue: Queue, start: Start) -> None:
    job_id = enqueue(queue, tasks.nap, 30)
    process = start("worker", "--grace", "1h")
    wait_for_status(job_id, "started")
    assert process.stderr is not None

    process.send_signal(signal.SIGINT)
    while "no new jobs" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)

    code, logged = end(process)
    assert code == 130, logged
    assert statuses(job_id) == ["queued"]
    assert "Traceback" not in logged


def test_a_thread_that_does_not_end_does_not_keep_the_process(queue: Queue, start: Start) -> None:
    job_id = enqueue(queue, jobs.block, 60, job_timeout=0.2)

    code, logged = end(start("worker", "-b"))

    assert code == 0, logged
    assert statuses(job_id) == ["failed"]
    assert "its code still runs" in logged


@pytest.mark.parametrize(
    ("closed", "loop"), [("<&-", "uvloop"), ("2>&-", "asyncio"), ("<&- >&- 2>&-", "uvloop")]
)
def test_it_works_without_standard_streams(queue: Queue, closed: str, loop: str) -> None:
    if loop == "uvloop" and find_spec("uvloop") is None:
        pytest.skip("needs uvloop")
    job_id = enqueue(queue, process_jobs.say, "hello", executor="process")
    command = f"exec {sys.executable} -m aqueue worker --burst --loop {loop} {closed}"

    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert ended.returncode == 0, ended.stderr
    assert statuses(job_id) == ["finished"]


#: `aqueue`, with less patience.
HASTY = """
import aqueue.worker.maintenance, aqueue.worker.settings
aqueue.worker.maintenance.REFUSED_PATIENCE = 0.2
aqueue.worker.settings.WorkerSettings.__init__.__kwdefaults__ |= {"cleanup": 0.2, "farewell": 0.2}
from aqueue.cli.app import app
app()
"""


def test_a_thread_that_does_not_end_hides_no_refusal(
    server: Server, queue: Queue, namespace: str, start: Start
) -> None:
    url = server.user(f"{namespace}-refused", "~*", "&*", "+@all")
    job_id = enqueue(queue, jobs.block, 60)
    process = start("worker", "--url", url, "--grace", "0", program=["-c", HASTY])
    wait_for_status(job_id, "started")
    server.user(f"{namespace}-refused")  # nothing is permitted any more

    code, logged = end(process)

    assert code == 78, logged
    assert f"{job_id} was given up, but its code still runs" in logged
    assert logged.splitlines()[-1].startswith("aqueue: Redis at redis://***@127.0.0.1")
    assert "refuses calls, trying again: User" in logged


def test_an_unreachable_redis_is_one_line_without_the_password_and_exit_4(start: Start) -> None:
    port = free_port()

    code, logged = end(start("worker", "-u", f"redis://me:s3cret@127.0.0.1:{port}/0"))

    assert code == 4
    assert len(logged.splitlines()) == 1
    assert f"redis://***@127.0.0.1:{port}/0" in logged
    assert "--url or AQUEUE_URL" in logged
    assert "s3cret" not in logged


def test_refused_credentials_are_one_line_and_exit_78(invoke: Invoke) -> None:
    with Server(aof=False) as server:
        server.client().config_set("requirepass", "right")  # pyright: ignore[reportUnknownMemberType]

        for url in (server.url, server.url.replace("//", "//:wr0ng@")):
            result = invoke("worker", "-u", url)

            assert result.exit_code == 78
            assert len(result.stderr.splitlines()) == 1
            assert "refuses the credentials" in result.stderr
            assert "wr0ng" not in result.stderr


def test_a_layout_of_a_newer_version_is_one_line_and_exit_2(
    queue: Queue, server: Server, invoke: Invoke
) -> None:
    server.client().set(queue.space.keys.schema, "2")

    result = invoke("worker", "--burst")

    assert result.exit_code == 2
    assert "has layout '2', this version knows 1" in result.stderr.splitlines()[-1]


def test_what_cannot_be_used_is_one_line_and_exit_2(url: str, invoke: Invoke) -> None:
    cases = {
        ("bad name",): "queue name 'bad name'",
        ("-n", "bad name"): "worker name 'bad name'",
        ("--lease", "5x"): "lease='5x' is not a duration",
        ("--grace", "-1"): "grace='-1'",
        ("--max-stall", "0.1"): "max_stall='0.1' must be at least 1 s",
        ("--max-idle-time", "soon"): "max_idle_time='soon'",
        ("--max-jobs", "0"): "max_jobs=0",
        ("-c", "0"): "concurrency=0",
        ("-P", "/no/such/folder"): "no such folder",
        ("--namespace", "a b"): "namespace name 'a b'",
        ("-u", "localhost:6379"): "no scheme",
        ("-u", "redis://:s3cret@[::1"): "redis://***@[::1",
        ("-u", "redis://:s3/cret@host:1"): "redis://***:",
    }
    for args, message in cases.items():
        result = invoke("worker", *args)

        assert result.exit_code == 2, args
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
        assert "s3" not in result.stderr


def test_the_worker_can_be_started_again_in_one_process(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "a")

    assert [invoke("worker", "-b").exit_code for _ in range(2)] == [0, 0]


def test_too_many_zombies_end_it_with_75(queue: Queue, start: Start) -> None:
    process = start("worker", "--max-zombies", "0")
    job_id = enqueue(queue, jobs.block, 60, job_timeout=0.1)
    wait_for_status(job_id, "failed")

    code, logged = end(process)

    assert code == 75
    assert f"more than max_zombies=0: {job_id}" in logged


def test_ctrl_c_leaves_the_jobs_in_child_processes_their_grace(
    queue: Queue, open_terminal: Open, tmp_path: Path
) -> None:
    terminal = open_terminal("worker", "--executor", "process", "--max-children", "1", "--max-jobs", "2")
    job_id = enqueue(queue, process_jobs.hold, str(tmp_path))
    wait_for_status(job_id, "started")
    asyncio.run(wait_until((tmp_path / "begun").exists, timeout=20))
    os.killpg(terminal.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    terminal.read_until("no new jobs")
    (tmp_path / "go").touch()

    assert terminal.wait() == 0
    assert statuses(job_id) == ["finished"]
