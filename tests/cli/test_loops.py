"""`aqueue worker --loop`: which event loop it runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest

from aqueue import Job, Queue
from aqueue.cli.loops import loops
from aqueue.cli.worker_options import LoopName
from aqueue.errors import SettingsError
from tests.cli import jobs
from tests.cli.conftest import Invoke
from tests.cli.hands import enqueue


@pytest.mark.parametrize(
    ("name", "module"), [("asyncio", "asyncio"), ("uvloop", "uvloop"), ("auto", "uvloop")]
)
def test_a_worker_runs_on_the_loop_that_was_named(
    queue: Queue, invoke: Invoke, name: str, module: str
) -> None:
    job_id = enqueue(queue, jobs.loop_module)
    ended = invoke("worker", "--burst", "--loop", name)

    assert ended.exit_code == 0, ended.stderr
    assert asyncio.run(Job.fetch(job_id)).result == module


def _nothing(module: str) -> None:
    """No module is installed."""


@pytest.mark.parametrize("name", ["auto", "asyncio", "uvloop"])
def test_without_uvloop_it_is_asyncio_or_a_clear_error(
    name: LoopName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.setattr("aqueue.cli.loops.find_spec", _nothing)

    if name == "uvloop":
        with pytest.raises(SettingsError, match=r"pip install 'aqueue\[uvloop\]'"):
            loops(name)
    else:
        assert loops(name) is None


def test_a_supervisor_says_once_that_the_loop_cannot_be_had(invoke: Invoke) -> None:
    ended = invoke("worker", "--processes", "2", "--loop", "trio")

    assert ended.exit_code == 2
    assert "trio" in ended.stderr


def test_the_loop_of_uvloop_is_made_by_uvloop() -> None:
    made = loops("uvloop")
    assert made is not None
    loop = made()
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert type(loop).__module__.startswith("uvloop")
    loop.close()
