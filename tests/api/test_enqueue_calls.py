"""Which calls can be enqueued, and whose arguments are whose."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, Queue, Worker
from tests.api import jobs

ROOT = Path(__file__).parents[2]

SCRIPT = """
import asyncio
from aqueue import Queue

def work(x):
    return x + 1

async def main():
    job = await Queue().enqueue(work, 1, job_id="from_main")
    print(job.func_name)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def results(queue: Queue, *enqueued: Job[Any]) -> list[Any]:
    await Worker([queue]).work(burst=True)
    return [await job.wait(5) for job in enqueued]


async def test_functions_methods_and_paths_can_be_enqueued(queue: Queue) -> None:
    greeter = jobs.Greeter("Hello")

    enqueued = [
        await queue.enqueue(jobs.say_hello, "you"),
        await queue.enqueue(greeter.greet, "you"),
        await queue.enqueue(greeter.__call__, name="you"),
        await queue.enqueue(jobs.Greeter.shout, "you"),
        await queue.enqueue(jobs.Greeter.make, "Hey"),
        await queue.enqueue("tests.api.jobs.say_hello", "you"),
        await queue.enqueue("tests.api.jobs.Greeter.shout", "you"),
        await queue.enqueue("tests.api.jobs.partial_add", 2),
        await queue.enqueue(len, "four"),
        await queue.enqueue(jobs.Greeter, "Hi"),
    ]
    enqueued[-1:] = []

    assert await results(queue, *enqueued) == [
        "Hi there, you!", "Hello, you!", "Hello, you!", "YOU", "Hey, you!", "Hi there, you!", "YOU", 3, 4,
    ]  # fmt: skip


async def test_a_classmethod_belongs_to_the_class_it_was_taken_from(queue: Queue) -> None:
    job = await queue.enqueue(jobs.LoudGreeter.make, "Hey")

    assert job.func_name == "tests.api.jobs.LoudGreeter.make"
    assert await results(queue, job) == ["HEY, YOU!"]


async def test_a_path_is_not_imported_by_who_enqueues_it(queue: Queue) -> None:
    job = await queue.enqueue("no_such_package.no_such_module.function", 1)

    assert (await Job.fetch(job.id)).func_name == "no_such_package.no_such_module.function"


async def test_a_function_gets_any_arguments_under_any_name(queue: Queue) -> None:
    given: dict[str, Any] = {
        "ttl": "own", "meta": 1, "job_id": 2, "func": 3, "self": 4, "args": 5, "kwargs": 6, "priority": 7,
    }  # fmt: skip

    enqueued = [
        await queue.options(ttl=60, job_id="apart").enqueue(jobs.echo, 1, **given),
        await queue.enqueue(jobs.echo, args=(1,), kwargs=given, ttl=60),
        (await queue.enqueue_many([Queue.prepare_data(jobs.echo, (1,), given, ttl=60)]))[0],
        await queue.enqueue_job(Job.create(jobs.echo, (1,), given, ttl=60)),
    ]

    assert enqueued[0].id == "apart"
    assert [job.ttl for job in enqueued] == [60] * 4
    assert await results(queue, *enqueued) == [((1,), given)] * 4


async def test_a_keyword_that_is_no_option_goes_to_the_function(queue: Queue) -> None:
    job = await queue.enqueue(jobs.echo, 1, tll=5, ttl=60)

    assert job.ttl == 60
    assert await results(queue, job) == [((1,), {"tll": 5})]


async def test_a_lone_string_is_one_argument_also_in_args(queue: Queue) -> None:
    one = await queue.enqueue(jobs.echo, args="text")
    [two] = await queue.enqueue_many([Queue.prepare_data(jobs.echo, "text", {})])
    three = await queue.enqueue(jobs.echo, args=b"bytes")

    assert await results(queue, one, two, three) == [(("text",), {})] * 2 + [((b"bytes",), {})]


async def test_arguments_come_back_as_they_were(queue: Queue) -> None:
    value = {"a": (1, [2.5, None]), b"b": {3}, "c": jobs.Greeter, 4: "\u2028 \x00 🙂"}

    job = await queue.enqueue(jobs.echo, value, x=value)

    found = await Job.fetch(job.id)
    assert (found.args, found.kwargs) == ((value,), {"x": value})
    assert await results(queue, job) == [((value,), {"x": value})]


async def test_changing_an_argument_after_enqueue_changes_nothing(queue: Queue) -> None:
    value = [1]
    job = await queue.enqueue(jobs.echo, value)

    value.append(2)

    assert await results(queue, job) == [(([1],), {})]


def run(*command: str, cwd: Path, url: str, namespace: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"AQUEUE_URL": url, "AQUEUE_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", *command],
        cwd=cwd, env=env, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_function_of_a_script_is_refused_and_the_words_say_where_to_put_it(
    tmp_path: Path, url: str, namespace: str, stored: Any
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)

    done = run("script.py", cwd=tmp_path, url=url, namespace=namespace)

    assert done.returncode == 1
    assert "cannot enqueue 'work' of __main__" in done.stderr
    assert "python -m" in done.stderr
    assert stored() == []


async def test_a_function_of_a_module_run_with_m_has_its_modules_real_name(
    tmp_path: Path, queue: Queue, url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pkg_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "mod.py").write_text(SCRIPT)

    done = run("-m", "pkg_of_a_test.mod", cwd=tmp_path, url=url, namespace=namespace)

    assert (done.stdout.strip(), done.stderr) == ("pkg_of_a_test.mod.work", "")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert await results(queue, await Job.fetch("from_main")) == [2]


def test_a_forked_child_enqueues_apart_from_its_parent(
    tmp_path: Path, url: str, namespace: str, stored: Any
) -> None:
    (tmp_path / "script.py").write_text(
        """
import asyncio, os
from aqueue import Queue
queue = Queue()
async def enqueue(name):
    for number in range(20):
        await queue.enqueue("x.y", job_id=f"{name}{number}")
    job = await queue.enqueue("x.y")
    assert await queue.get_job_position(job) is not None
    return job.id
first = asyncio.run(enqueue("before"))
child = os.fork()
name = "parent" if child else "child"
asyncio.run(enqueue(name))
if child:
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(enqueue("after"))
    print(asyncio.run(queue.count()))
"""
    )

    done = run("script.py", cwd=tmp_path, url=url, namespace=namespace)

    assert (done.stdout.strip(), done.stderr) == ("84", "")


def test_a_fork_inside_a_running_loop_leaves_the_parents_connections_alone(
    tmp_path: Path, url: str, namespace: str
) -> None:
    (tmp_path / "script.py").write_text(
        """
import asyncio, os
from aqueue import Queue
queue = Queue()
async def main():
    await queue.enqueue("x.y", job_id="before")
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(None)
        try:
            asyncio.run(in_child())
        finally:
            os._exit(0)
    for number in range(50):
        await queue.enqueue("x.y", job_id=f"parent{number}")
    assert os.waitpid(child, 0)[1] == 0
    print(await queue.count(), (await queue.get_job_ids())[0])
async def in_child():
    for number in range(50):
        await queue.enqueue("x.y", job_id=f"child{number}")
asyncio.run(main())
"""
    )

    done = run("script.py", cwd=tmp_path, url=url, namespace=namespace)

    assert (done.stdout.strip(), done.stderr) == ("101 before", "")
