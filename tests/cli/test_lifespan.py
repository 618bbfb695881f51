"""`aqueue worker --lifespan` and `--middleware`: what is imported, what is refused, how failures end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, Queue
from tests import tasks
from tests.cli import shared
from tests.cli.conftest import Invoke, Start
from tests.cli.hands import enqueue, statuses

HERE = "tests.cli.shared"


def result_of(job_id: str) -> Any:
    return asyncio.run(Job.fetch(job_id)).result


def test_jobs_see_what_the_lifespan_opened_through_the_middleware(queue: Queue, invoke: Invoke) -> None:
    job_id = enqueue(queue, shared.tell_state)
    around = ("--middleware", f"{HERE}:exclaim", "--middleware", f"{HERE}:Tools.shout")

    result = invoke("worker", "-b", "-n", "web1", "--lifespan", f"{HERE}:lifespan", *around)

    assert result.exit_code == 0, result.stderr
    assert result_of(job_id) == "OPENED FOR WEB1!"


def test_modules_are_looked_for_in_path_first(queue: Queue, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "only_here_lifespan.py").write_text(
        "from contextlib import asynccontextmanager\n\n"
        "@asynccontextmanager\nasync def lifespan():\n    yield 'from the folder'\n"
    )
    job_id = enqueue(queue, shared.tell_state)

    assert invoke("worker", "-b", "--lifespan", "only_here_lifespan:lifespan").exit_code == 2
    result = invoke("worker", "-b", "-P", str(tmp_path), "--lifespan", "only_here_lifespan:lifespan")

    assert result.exit_code == 0, result.stderr
    assert result_of(job_id) == "from the folder"


def test_an_error_while_opening_is_one_line_after_the_traceback_and_exit_1(
    queue: Queue, invoke: Invoke
) -> None:
    job_id = enqueue(queue, tasks.add, 1, 2)

    result = invoke("worker", "-b", "--lifespan", f"{HERE}:broken")

    assert result.exit_code == 1
    assert statuses(job_id) == ["queued"]
    assert "the lifespan failed to open\nTraceback" in result.stderr
    last = result.stderr.splitlines()[-1]
    assert last == f"aqueue: the lifespan {HERE}:broken raised OSError: no database"


def test_an_error_while_closing_exits_1_after_the_jobs_have_ended(queue: Queue, invoke: Invoke) -> None:
    job_id = enqueue(queue, tasks.add, 1, 2)

    result = invoke("worker", "-b", "--lifespan", f"{HERE}:broken_at_the_end")

    assert result.exit_code == 1
    assert statuses(job_id) == ["finished"]
    assert result.stderr.splitlines()[-1].endswith("raised OSError: cannot flush")


def test_a_signal_while_it_opens_ends_the_worker(url: str, start: Start) -> None:
    process = start("worker", "--lifespan", f"{HERE}:stuck")
    assert process.stderr is not None
    while "opening" not in process.stderr.readline():
        assert process.poll() is None

    process.send_signal(signal.SIGTERM)

    _, logged = process.communicate(timeout=20)
    assert process.returncode == 0, logged
    assert "Traceback" not in logged


@pytest.mark.parametrize("option", ["--lifespan", "--middleware"])
def test_what_cannot_be_imported_is_one_line_and_exit_2(url: str, invoke: Invoke, option: str) -> None:
    cases = {
        "shared": "must be module:name",
        "tests/cli/shared.py:lifespan": "must be module:name",
        ":lifespan": "must be module:name",
        f"{HERE}:": "must be module:name",
        f"{HERE}:no one": "must be module:name",
        "\x1b[2J:x": r"\x1b[2J",
        "no_such_module:x": "there is no module no_such_module: is it installed",
        "tests.no_such.module:x": "there is no module tests.no_such:",
        f"{HERE}:no_such": f"module {HERE} has no no_such",
        f"{HERE}:Tools.no_such": "has no Tools.no_such",
        f"{HERE}:Tools": "Tools",
        f"{HERE}:__name__": option.strip("-"),
    }
    for text, message in cases.items():
        result = invoke("worker", "-b", option, text)

        assert result.exit_code == 2, text
        assert message in result.stderr, text
        assert len(result.stderr.splitlines()) == 1


def test_a_module_that_fails_to_import_is_named_with_its_traceback(
    url: str, invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "broken_app.py").write_text("import no_such_dependency\n")
    (tmp_path / "raising_app.py").write_text("raise ValueError('at import')\n")

    for module, reason in (
        ("broken_app", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("raising_app", "ValueError: at import"),
    ):
        result = invoke("worker", "-P", str(tmp_path), "--lifespan", f"{module}:lifespan")

        assert result.exit_code == 2
        assert "Traceback" in result.stderr
        last = result.stderr.splitlines()[-1]
        assert last == f"aqueue: --lifespan '{module}:lifespan': importing {module} raised {reason}"
