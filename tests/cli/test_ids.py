"""`aqueue cancel`, `stop` and `delete`: jobs named by their ids."""

from __future__ import annotations

import json

import pytest

from aqueue import Queue
from tests import tasks
from tests.cli.conftest import Invoke, Open, Start
from tests.cli.hands import enqueue, make_failed, statuses, wait_for_status
from tests.servers import Server, free_port

COMMANDS = ("cancel", "stop", "delete")


@pytest.fixture
def running(queue: Queue, start: Start) -> str:
    """The id of a job that runs."""
    job_id = enqueue(queue, tasks.nap, 60, job_id="running")
    start("worker", "default", "--lease", "1")
    wait_for_status(job_id, "started")
    return job_id


def test_waiting_jobs_are_canceled(queue: Queue, invoke: Invoke) -> None:
    for job_id in ("a", "b", "c"):
        enqueue(queue, tasks.add, 1, 2, job_id=job_id)

    result = invoke("cancel", "a", "b", "a")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 jobs canceled\n", "")
    assert statuses("a", "b", "c") == ["canceled", "canceled", "queued"]


def test_a_running_job_is_asked_and_ends_canceled(running: str, invoke: Invoke) -> None:
    result = invoke("cancel", "--json", running)

    assert json.loads(result.stdout) == {"canceled": 0, "asked": 1, "not_found": [], "refused": {}}
    wait_for_status(running, "canceled")


def test_a_running_job_is_stopped(running: str, invoke: Invoke) -> None:
    result = invoke("stop", running)

    assert (result.exit_code, result.stdout) == (0, "1 job asked to stop\n")
    wait_for_status(running, "stopped")


def test_a_running_job_is_not_deleted(running: str, invoke: Invoke) -> None:
    result = invoke("delete", running)

    assert (result.exit_code, result.stdout) == (1, "0 jobs deleted\n")
    assert result.stderr == "aqueue: cannot delete job running: it is started; stop it first\n"
    assert statuses(running) == ["started"]


def test_jobs_that_do_not_run_are_not_stopped(queue: Queue, invoke: Invoke) -> None:
    enqueue(queue, tasks.add, 1, 2, job_id="waiting")

    result = invoke("stop", "waiting", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"asked": 0, "not_found": [], "refused": {"waiting": "queued"}}
    assert "cannot stop job waiting: it is queued" in result.stderr


def test_waiting_and_ended_jobs_are_deleted(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "failed")
    enqueue(queue, tasks.add, 1, 2, job_id="waiting")

    result = invoke("delete", "failed", "waiting", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"deleted": 2, "not_found": [], "refused": {}}
    assert statuses("failed", "waiting") == [None, None]


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_ids_are_named_after_all_others_were_handled(
    command: str, queue: Queue, invoke: Invoke
) -> None:
    make_failed(queue, "ended")

    result = invoke(command, "nope", "ended", "neither")

    assert result.exit_code == 3
    named = [line.split(":")[1] for line in result.stderr.splitlines() if "no job" in line]
    assert named == [" no job nope", " no job neither"]
    assert ("cannot" in result.stderr) == (command != "delete")


def test_a_status_that_was_written_by_others_cannot_write_to_the_terminal(
    queue: Queue, server: Server, namespace: str, invoke: Invoke
) -> None:
    with server.client() as redis:
        redis.hset(f"{{{namespace}}}:job:odd", mapping={"status": "\x1b[2Jodd", "queue": "default"})

    result = invoke("cancel", "odd")

    assert result.exit_code == 1
    assert result.stderr == "aqueue: cannot cancel job odd: it is \\x1b[2Jodd\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_is_exit_2(command: str, url: str, invoke: Invoke) -> None:
    assert invoke(command).exit_code == 2
    result = invoke(command, "fine", "not an id\x1b[31m")

    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unreachable_redis_is_exit_4(command: str, invoke: Invoke) -> None:
    assert invoke(command, "a", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4


def test_a_terminal_shows_a_bar(queue: Queue, open_terminal: Open) -> None:
    ids = [f"job{number}" for number in range(150)]
    for job_id in ids:
        enqueue(queue, tasks.add, 1, 2, job_id=job_id)

    terminal = open_terminal("cancel", *ids)

    assert terminal.wait() == 0
    assert "150/150" in terminal.text
    assert "150 jobs canceled" in terminal.text
