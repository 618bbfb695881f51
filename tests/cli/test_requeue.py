"""`aqueue requeue`: by ids, and all."""

from __future__ import annotations

import json

from aqueue import Queue
from tests import tasks
from tests.cli.conftest import Invoke, Open
from tests.cli.hands import enqueue, make_failed, statuses
from tests.servers import free_port


def test_the_sample_with_ids(url: str, invoke: Invoke) -> None:
    make_failed(Queue("myqueue"), "foo_job_id", "bar_job_id", "third")

    result = invoke("requeue", "--queue", "myqueue", "-u", url, "foo_job_id", "bar_job_id")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 jobs requeued\n", "")
    assert statuses("foo_job_id", "bar_job_id", "third") == ["queued", "queued", "failed"]


def test_the_sample_with_all(url: str, invoke: Invoke) -> None:
    make_failed(Queue("myqueue"), "foo_job_id", "bar_job_id")
    make_failed(Queue("other"), "elsewhere")

    result = invoke("requeue", "--queue", "myqueue", "-u", url, "--all")

    assert (result.exit_code, result.stdout) == (0, "2 jobs requeued\n")
    assert statuses("foo_job_id", "bar_job_id", "elsewhere") == ["queued", "queued", "failed"]


def test_all_without_a_queue_means_every_queue(url: str, invoke: Invoke) -> None:
    make_failed(Queue("one"), "a")
    make_failed(Queue("two"), "b", "c")

    assert invoke("requeue", "-a").stdout == "3 jobs requeued\n"

    assert statuses("a", "b", "c") == ["queued"] * 3


def test_nothing_failed_is_not_an_error(url: str, invoke: Invoke) -> None:
    result = invoke("requeue", "--all")

    assert (result.exit_code, result.stdout) == (0, "0 jobs requeued\n")


def test_unknown_ids_are_named_after_all_others_are_done(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "a", "b")

    result = invoke("requeue", "-q", "default", "nope", "a", "neither", "b", "a")

    assert (result.exit_code, result.stdout) == (3, "2 jobs requeued\n")
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [
        " no job nope in queue default",
        " no job neither in queue default",
    ]
    assert statuses("a", "b") == ["queued", "queued"]


def test_a_job_of_another_queue_is_not_found_in_this_one(url: str, invoke: Invoke) -> None:
    make_failed(Queue("one"), "a")

    assert invoke("requeue", "-q", "two", "a").exit_code == 3
    assert statuses("a") == ["failed"]
    assert invoke("requeue", "a").exit_code == 0
    assert statuses("a") == ["queued"]


def test_a_status_that_forbids_it_is_named_and_exit_1(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "a")
    enqueue(queue, tasks.add, 1, 2, job_id="waiting")

    result = invoke("requeue", "waiting", "a")

    assert (result.exit_code, result.stdout) == (1, "1 job requeued\n")
    assert "cannot requeue job waiting: it is queued" in result.stderr
    assert invoke("requeue", "waiting", "nope").exit_code == 3


def test_json_tells_all_of_it(queue: Queue, invoke: Invoke) -> None:
    make_failed(queue, "a")

    result = invoke("requeue", "--json", "a", "nope")

    assert json.loads(result.stdout) == {"requeued": 1, "not_found": ["nope"], "refused": {}}
    assert json.loads(invoke("requeue", "--json", "a").stdout)["refused"] == {"a": "queued"}


def test_ids_and_all_exclude_each_other(url: str, invoke: Invoke) -> None:
    for args in ([], ["a", "--all"]):
        result = invoke("requeue", *args)

        assert result.exit_code == 2
        assert "--all" in result.stderr


def test_ids_and_queues_that_cannot_exist_are_usage_errors(url: str, invoke: Invoke) -> None:
    for args in (["a b"], ["-q", "no queue", "a"], ["-q", "x\x1b[31m", "--all"]):
        result = invoke("requeue", *args)

        assert result.exit_code == 2
        assert "\x1b" not in result.stderr


def test_an_unreachable_redis_is_one_line_and_exit_4(invoke: Invoke) -> None:
    result = invoke("requeue", "--all", "-u", f"redis://:s3cret@127.0.0.1:{free_port()}")

    assert (result.exit_code, len(result.stderr.splitlines())) == (4, 1)
    assert "s3cret" not in result.stderr


def test_a_terminal_shows_a_bar(queue: Queue, open_terminal: Open) -> None:
    make_failed(queue, *(f"job{number}" for number in range(250)))

    terminal = open_terminal("requeue", "--all")

    assert terminal.wait() == 0
    assert "━━━━━" in terminal.text
    assert "250/250" in terminal.text
    assert "250 jobs requeued" in terminal.text
