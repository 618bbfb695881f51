"""`aqueue empty`, `pause` and `resume`."""

from __future__ import annotations

import asyncio
import json

import pytest

from aqueue import Queue
from tests import tasks
from tests.cli.conftest import Invoke, Open
from tests.cli.hands import enqueue, make_failed, statuses
from tests.servers import Server, free_port


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """Two waiting jobs and a failed one in `default`, one waiting in `low`."""
    make_failed(queue, "failed")
    enqueue(queue, tasks.add, 1, 2, job_id="a")
    enqueue(queue, tasks.add, 1, 2, job_id="b")
    enqueue(Queue("low"), tasks.add, 1, 2, job_id="c")
    return queue


def is_paused(name: str) -> bool:
    return asyncio.run(Queue(name).is_paused())


def test_waiting_jobs_are_deleted_and_others_stay(filled: Queue, invoke: Invoke) -> None:
    result = invoke("empty", "default", "--yes")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 jobs deleted\n", "")
    assert statuses("a", "b", "failed", "c") == [None, None, "failed", "queued"]


def test_all_means_every_queue(filled: Queue, invoke: Invoke) -> None:
    result = invoke("empty", "--all", "-y", "--json")

    assert json.loads(result.stdout) == {"deleted": 3, "queues": {"default": 2, "low": 1}}
    assert statuses("a", "b", "c") == [None, None, None]


def test_names_that_others_wrote_are_passed_over(
    filled: Queue, server: Server, namespace: str, invoke: Invoke
) -> None:
    with server.client() as redis:
        redis.sadd(f"{{{namespace}}}:queues", "no name\x1b[2J")

    assert invoke("empty", "-ay").stdout == "3 jobs deleted\n"


def test_without_a_terminal_it_needs_a_yes(filled: Queue, invoke: Invoke) -> None:
    result = invoke("empty", "default")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "--yes" in result.stderr
    assert statuses("a", "b") == ["queued", "queued"]


def test_a_terminal_is_asked(filled: Queue, open_terminal: Open) -> None:
    for answer, code in (("n\n", 1), ("\x04", 1), ("y\n", 0)):
        terminal = open_terminal("empty", "default", "low", "unknown")
        terminal.read_until("Delete 3 waiting jobs of default, low? [y/N]")
        assert statuses("a", "b", "c") == ["queued"] * 3
        terminal.type(answer)

        assert terminal.wait() == code
        assert ("nothing was deleted" in terminal.text) == (code == 1)
    assert "3 jobs deleted" in terminal.text
    assert "3/3" in terminal.text
    assert statuses("a", "b", "c") == [None] * 3


def test_ctrl_c_at_the_question_deletes_nothing(filled: Queue, open_terminal: Open) -> None:
    terminal = open_terminal("empty", "default")
    terminal.read_until("[y/N]")
    terminal.interrupt()

    assert terminal.wait() == 130
    assert statuses("a", "b") == ["queued", "queued"]


def test_nothing_to_delete_is_not_asked_about(url: str, open_terminal: Open) -> None:
    terminal = open_terminal("empty", "default")

    assert terminal.wait() == 0
    assert terminal.text.strip() == "0 jobs deleted"


def test_queues_are_paused_and_resumed(url: str, invoke: Invoke) -> None:
    result = invoke("pause", "default", "low", "default")

    assert (result.exit_code, result.stdout) == (0, "2 queues paused\n")
    assert (is_paused("default"), is_paused("low"), is_paused("other")) == (True, True, False)

    assert json.loads(invoke("resume", "low", "--json").stdout) == {"resumed": ["low"]}
    assert json.loads(invoke("pause", "low", "--json").stdout) == {"paused": ["low"]}
    assert invoke("resume", "default", "low").stdout == "2 queues resumed\n"
    assert (is_paused("default"), is_paused("low")) == (False, False)


@pytest.mark.parametrize("args", [["empty", "-y"], ["pause"], ["resume"]])
def test_wrong_usage_is_exit_2(args: list[str], url: str, invoke: Invoke) -> None:
    assert invoke(*args).exit_code == 2
    assert invoke("empty", "--all", "default", "-y").exit_code == 2
    result = invoke(*args, "no queue\x1b[31m")

    assert result.exit_code == 2
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize("args", [["empty", "-y"], ["pause"], ["resume"]])
def test_an_unreachable_redis_is_exit_4(args: list[str], invoke: Invoke) -> None:
    assert invoke(*args, "default", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4
