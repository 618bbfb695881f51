"""The command itself: help, version, usage, and what every command does with an error."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

import pytest
import typer
from redis.exceptions import ResponseError

import aqueue
from aqueue import Queue
from aqueue.__main__ import main
from aqueue.cli import ending, text
from aqueue.errors import AqueueError, NoSuchJobError, QueueUnavailable, SettingsError
from tests.cli.conftest import PLAIN, Invoke

COMMANDS = (
    "worker", "enqueue", "jobs", "show", "requeue", "cancel", "stop", "delete", "empty", "pause", "resume",
    "info", "doctor", "demo",
)  # fmt: skip


def test_the_version(invoke: Invoke) -> None:
    result = invoke("--version")

    assert (result.exit_code, result.stdout) == (0, f"aqueue {aqueue.__version__}\n")


def test_help_names_the_commands_and_their_options(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout
        assert invoke(name, "--help").exit_code == 0
    shown = invoke("worker", "-h").stdout
    for option in ("--burst", "--concurrency", "--lease", "--grace", "--max-jobs", "--max-idle-time"):
        assert option in shown
    assert "AQUEUE_URL" in shown


def test_without_a_command_it_shows_the_help(invoke: Invoke) -> None:
    result = invoke()

    assert result.exit_code in (0, 2)  # versions of typer differ
    assert "worker" in result.output


def test_unknown_options_are_usage_errors(invoke: Invoke) -> None:
    for args in (["nonsense"], ["worker", "--nonsense"], ["worker", "-c", "many"], ["info", "--interval"]):
        assert invoke(*args).exit_code == 2


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [(["--help"], 0, "Usage: aqueue [OPTIONS] COMMAND"), (["enqueue"], 2, "Missing argument 'FUNCTION'")],
)
def test_help_and_usage_errors_import_nothing_slow(args: list[str], code: int, said: str) -> None:
    started = time.monotonic()
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aqueue", *args], capture_output=True, text=True, env=PLAIN
    )
    print(f"aqueue {args[0]}: {time.monotonic() - started:.2f} s")

    assert (found.returncode, said in found.stdout + found.stderr) == (code, True)
    modules = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "aqueue.cli.app" in modules
    assert not modules & {"asyncio", "redis", "rich", "logging", "aqueue.connection"}


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["aqueue", "requeue"])

    with pytest.raises(SystemExit) as exited:
        main()

    assert exited.value.code == 2


def _refused() -> QueueUnavailable:
    error = QueueUnavailable("Redis at x refuses the credentials")
    error.refused = True
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SettingsError("a bad name"), 2),
        (NoSuchJobError("x"), 3),
        (QueueUnavailable("Redis at x did not answer"), 4),
        (_refused(), 78),
        (AqueueError("something else"), 1),
        (ResponseError("WRONGTYPE Operation against a key"), 1),
    ],
)
def test_errors_are_one_line_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def command() -> int:
        raise error

    with pytest.raises(typer.Exit) as exited:
        ending.finish(command())

    shown = capsys.readouterr().err
    assert exited.value.exit_code == code
    assert len(shown.splitlines()) == 1
    assert str(error)[:15] in shown


def test_ctrl_c_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    async def command() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as exited:
        ending.finish(command())

    assert exited.value.exit_code == 130
    assert capsys.readouterr() == ("", "")


def test_only_the_first_line_of_a_message_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    ending.complain("\n it did \x1b[31mnot\x1b[0m work, see the log:\nline 1\nline 2")

    assert capsys.readouterr().err == "aqueue: it did \\x1b[31mnot\\x1b[0m work, see the log\n"


def test_texts_are_made_harmless() -> None:
    assert text.printable("plain \u00e9 \u4e2d") == "plain \u00e9 \u4e2d"
    assert text.printable("\x1b[2J\x7f\x9b\r\n\u202e\udcff") == r"\x1b[2J\x7f\x9b\r\n\u202e\udcff"
    assert text.printable("a\nb\tc\x00", keep="\n\t") == "a\nb\tc\\x00"
    assert text.shown_name("x" * 65) == "x" * 63 + "\u2026"
    assert text.shown_name("\x1b" * 10**6) == (r"\x1b" * 16)[:63] + "\u2026"


def test_numbers_are_made_readable() -> None:
    assert [text.plural(number, "job") for number in (0, 1, 2_000)] == ["0 jobs", "1 job", "2,000 jobs"]
    ages = {0.2: "0 s", 119: "119 s", 120: "2 min", 7_200: "2 h", 200_000: "2 d"}
    assert {seconds: text.shown_age(seconds) for seconds in ages} == ages


def test_a_stream_of_few_letters_shows_the_others_by_their_numbers(url: str) -> None:
    asyncio.run(Queue("default", url).enqueue("a.b", job_id="a", description="caf\u00e9 \u6f22"))
    ended = subprocess.run(
        [sys.executable, "-m", "aqueue", "show", "a"],
        env={**os.environ, **PLAIN, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )

    assert b"caf\xe9 \\u6f22" in ended.stdout
