"""`aqueue.sync` and `aqueue` side by side: the same names and parameters, nothing to be learned twice."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import aqueue
from aqueue import bound, current, decorators, enqueuing, failed, jobs, queue, registry, sync
from aqueue.snapshot import JobView
from aqueue.sync import current as sync_current
from aqueue.sync import decorators as sync_decorators
from aqueue.sync import enqueuing as sync_enqueuing
from aqueue.sync import failed as sync_failed
from aqueue.sync import jobs as sync_jobs
from aqueue.sync import queue as sync_queue
from aqueue.sync import registry as sync_registry
from tests.api import jobs as functions

TWINS: list[tuple[Any, Any]] = [
    (queue.Queue, sync_queue.Queue),
    (bound.BoundQueue, sync_enqueuing.BoundQueue),
    (jobs.Job, sync_jobs.Job),
    (registry.JobRegistry, sync_registry.JobRegistry),
    (registry.ScheduledJobRegistry, sync_registry.ScheduledJobRegistry),
    (registry.EndedJobRegistry, sync_registry.EndedJobRegistry),
    (failed.FailedQueue, sync_failed.FailedQueue),
    (decorators.JobFunction, sync_decorators.JobFunction),
]
FUNCTIONS: list[tuple[Any, Any]] = [
    (current.get_current_job, sync_current.get_current_job),
    (current.cancel_job, sync_current.cancel_job),
    (current.requeue_job, sync_current.requeue_job),
    (failed.get_failed_queue, sync_failed.get_failed_queue),
    (decorators.job, sync_decorators.job),
]
#: What has another name or no place here, and why.
DIFFERENT = {
    "Queue.aclose": "`close`: blocking connections belong to the process, not to a loop",
    "Queue.space": "what it lives in is that of the twin",
}


def public(kind: type) -> Iterator[str]:
    return (name for name in dir(kind) if not name.startswith("_"))


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    found = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in found]


@pytest.mark.parametrize(("kind", "twin"), TWINS)
def test_every_public_name_has_its_twin_with_the_same_parameters(kind: type, twin: type) -> None:
    for name in public(kind):
        if f"{kind.__name__}.{name}" in DIFFERENT:
            continue
        here, there = inspect.getattr_static(kind, name), inspect.getattr_static(twin, name)
        if isinstance(here, property):
            assert isinstance(there, property), name
            assert (here.fset is None) == (there.fset is None), name
        elif callable(getattr(kind, name)):
            assert type(here) is type(there), name
            assert not inspect.iscoroutinefunction(getattr(twin, name)), name
            assert parameters(getattr(kind, name)) == parameters(getattr(twin, name)), name


def test_queues_are_made_alike() -> None:
    assert parameters(queue.Queue) == parameters(sync_queue.Queue)


@pytest.mark.parametrize(("function", "twin"), FUNCTIONS)
def test_functions_have_the_same_parameters(function: Any, twin: Any) -> None:
    assert parameters(function) == parameters(twin)
    assert not inspect.iscoroutinefunction(twin)


def test_the_package_has_the_names_of_aqueue() -> None:
    assert set(sync.__all__) <= set(aqueue.__all__)
    assert {"Queue", "Job", "get_current_job"} <= set(sync.__all__)


def overloads(module: Any, kind: str) -> dict[str, list[str]]:
    """The signatures that type checkers see, without `async`."""
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    [found] = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == kind]
    written: dict[str, list[str]] = {}
    for each in found.body:
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if [ast.unparse(decorator) for decorator in each.decorator_list] == ["overload"]:
            text = f"({ast.unparse(each.args)}) -> {ast.unparse(each.returns or each)}"
            written.setdefault(each.name, []).append(text)
    return written


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (enqueuing, sync_enqueuing, "Enqueuing"),
        (bound, sync_enqueuing, "BoundQueue"),
        (decorators, sync_decorators, "JobFunction"),
    ],
)
def test_type_checkers_see_the_same_signatures(one: Any, other: Any, kind: str) -> None:
    assert overloads(one, kind) == overloads(other, kind) != {}


#: What calls need at least, by the names of their parameters.
ARGUMENTS: dict[str, Any] = {
    "func": functions.nothing, "delay": 5, "when": datetime(2100, 1, 1), "job_datas": [], "job_ids": ["a"],
    "exc": "x", "id": "a", "ids": ["a"], "job_id": "a",
}  # fmt: skip


def call(function: Any, job: sync.Job[Any]) -> Any:
    needed = [each.name for each in inspect.signature(function).parameters.values() if is_needed(each)]
    return function(*[job if name == "job" else ARGUMENTS[name] for name in needed])


def is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind in (
        parameter.POSITIONAL_ONLY,
        parameter.POSITIONAL_OR_KEYWORD,
    )


async def test_in_a_coroutine_every_call_is_refused_and_names_the_awaited_form(url: str) -> None:
    queue, job = sync.Queue(), sync.Job.create(functions.nothing, id="a")
    objects = [
        queue, queue.options(), job, queue.started_job_registry, queue.scheduled_job_registry,
        queue.failed_job_registry, sync.get_failed_queue(), sync.job("mail")(functions.nothing),
    ]  # fmt: skip
    refused: set[str] = set()
    for each, (kind, twin) in zip(objects, TWINS, strict=True):
        assert type(each) is twin
        for name in public(twin):
            if inspect.iscoroutinefunction(getattr(kind, name, None)):
                with pytest.raises(RuntimeError, match=rf"use `await .*\b{name}\(\.\.\.\)` of aqueue"):
                    call(getattr(each, name), job)
                refused.add(f"{twin.__name__}.{name}")
    assert {
        "Queue.enqueue",
        "Queue.all",
        "Job.wait",
        "FailedQueue.quarantine",
        "JobFunction.delay",
    } <= refused
    assert len(refused) > 50

    for function in (sync.cancel_job, sync.requeue_job):
        with pytest.raises(RuntimeError, match=rf"use `await aqueue\.{function.__name__}\("):
            function("a")
    with pytest.raises(RuntimeError, match=r"use `get_current_job\(\)` of aqueue"):
        sync.get_current_job()


def test_a_job_shares_all_that_the_handle_it_drives_holds() -> None:
    held = set(JobView.__slots__) - {"__weakref__"}

    assert {name for name in held if name in vars(sync.Job)} == held
