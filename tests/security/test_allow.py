"""S04: whoever can write to Redis chooses the path of a function, but not what runs."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from aqueue import Queue, SettingsError, Worker
from aqueue._core import allowed as allowed_module
from aqueue._core.allowed import Allowed, register
from aqueue._core.functions import UnknownFunction
from tests import tasks
from tests.security.app import tasks as app
from tests.security.hostile import APP, HOSTILE, LIST
from tests.worker.hands import burst, last_line


def test_there_are_enough_hostile_names() -> None:
    assert len(set(HOSTILE)) >= 200


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Modules that are imported while the test runs."""
    before = set(sys.modules)

    class News(list[str]):
        def __iter__(self) -> Any:
            return iter(sorted(set(sys.modules) - before))

    return News()


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_refused_and_nothing_is_imported(path: str, imported: list[str]) -> None:
    with pytest.raises((SettingsError, UnknownFunction)):
        Allowed([LIST]).find(path)

    assert list(imported) == []


@pytest.mark.parametrize(
    ("name", "value"), [("double", 2), ("_private", 4), ("wrapped", 5), ("cached", 6), ("decorated", 7)]
)
def test_functions_of_listed_modules_and_their_submodules_run(name: str, value: int) -> None:
    assert Allowed([LIST]).find(f"{APP}.{name}")(1) == value
    assert Allowed(APP).find(f"{APP}.{name}")(1) == value


def test_a_function_that_is_allowed_but_missing_is_left_to_other_workers() -> None:
    for path in (f"{APP}.later", f"{LIST}.later.f", f"{LIST}.later.deep.f"):
        with pytest.raises(UnknownFunction):
            Allowed([LIST]).find(path)


def test_a_registered_function_runs_whatever_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowed_module, "_registered", set[str]())
    with pytest.raises(SettingsError, match="is not allowed here: only functions of no module and decorated"):
        Allowed([]).find("tests.tasks.say_hello")

    register("tests.tasks.say_hello")

    assert Allowed([]).find("tests.tasks.say_hello") is tasks.say_hello


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["no_such_module_here"], "there is no such module"),
        (["tests.security.app.nothing"], "there is no such module"),
        (["no_such_package_here.x"], "cannot be imported"),
        (["tests.tasks.add"], "cannot be imported"),
        (["__main__"], "special module"),
        ([""], "is no module"),
        (["a b"], "is no module"),
        ([5], "is no module"),
        ("app/tasks.py", "is no module"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(given: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Worker(allow=given)


async def test_child_processes_know_the_list_and_what_is_registered(queue: Queue) -> None:
    good = await queue.options(executor="process").enqueue(app.decorated, 4)
    bad = await queue.options(executor="process").enqueue("tests.security.other.harmless")

    await burst(queue, allow=[])

    assert await good.return_value(refresh=True) == 28
    assert "is not allowed here" in await last_line(bad)


async def test_decorated_functions_of_imported_modules_run_without_a_list(queue: Queue) -> None:
    job = await queue.enqueue(app.decorated, 4)
    await burst(queue, allow=[])

    assert await job.return_value(refresh=True) == 28


async def test_a_worker_runs_what_is_listed_and_fails_the_rest_without_a_retry(queue: Queue) -> None:
    good = await queue.enqueue(app.double, 4)
    also = await queue.enqueue(app.triple, 4)
    bad = await queue.enqueue("tests.security.other.harmless", retry=3)
    method = await queue.enqueue(app.Shell.of, "x")

    await burst(queue, allow=[LIST])

    assert (await good.return_value(refresh=True), await also.return_value(refresh=True)) == (8, 12)
    assert "function 'tests.security.other.harmless' is not allowed here: only functions of tests" in (
        await last_line(bad)
    )
    assert bad.retries_left == 3
    assert "not at the top of a module" in await last_line(method)
    assert not hasattr(builtins, "aqueue_imported_other")


async def test_a_job_looks_at_functions_by_the_same_list(queue: Queue) -> None:
    job = await queue.enqueue(tasks.say_hello)

    with pytest.raises(SettingsError, match="is not allowed here"):
        _ = type(job)(job._record, Worker(queue, allow=[LIST]).space).func
