"""Fixtures: commands run inside the test, and as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from aqueue.cli import options
from aqueue.cli.app import app
from tests.cli.terminal import Terminal

ROOT = Path(__file__).parents[2]
PLAIN = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[str]"]
Open = Callable[..., Terminal]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command here and return its result."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(options, "PATIENCE", 0.1)

    def run(*args: str) -> Result:
        result = CliRunner(env=PLAIN).invoke(app, args)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command as a process of its own; it is killed at the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(*args: str, program: Sequence[str] = ("-m", "aqueue")) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *program, *args],
            cwd=ROOT,
            env={**os.environ, **PLAIN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def open_terminal() -> Iterator[Open]:
    """Start a command at a terminal of so many columns."""
    terminals: list[Terminal] = []

    def run(*args: str, columns: int = 80) -> Terminal:
        terminals.append(Terminal([sys.executable, "-m", "aqueue", *args], columns=columns))
        return terminals[-1]

    yield run
    for terminal in terminals:
        terminal.kill()


@pytest.fixture
def temp_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty temporary folder for this process and those it starts, short enough for a socket."""
    tmp_path_factory.getbasetemp()  # is not to be made in there
    folder = Path(tempfile.mkdtemp(prefix="aq"))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
