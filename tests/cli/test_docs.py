"""docs/cli.md: its samples are run, and its options are those of the commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from aqueue.cli.app import app
from tests.cli.conftest import Invoke
from tests.servers import Server

PAGE = Path(__file__).parents[2].joinpath("docs", "cli.md").read_text("utf-8")
INTRODUCTION, *SECTIONS = re.split(r"^## aqueue (\w+)$", PAGE, flags=re.MULTILINE)
SECTION = dict(zip(SECTIONS[::2], SECTIONS[1::2], strict=True))
#: Of every command, or hidden.
COMMON = {"--url", "-u", "--namespace", "--json", "--help", "-h", "--depends-on"}

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = GROUP.commands


def samples() -> Iterator[tuple[str, str]]:
    """Each command line of the page and what it prints, in order."""
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for sample in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, printed = sample.partition("\n")
            yield line, printed


def plain(text: str) -> str:
    """Without what differs from run to run: instants, ages, sizes, process ids and places."""
    for pattern, word in (
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(\+00:00)?", "INSTANT"),
        (r"[\d.e-]+ (ms|s|min)( ago|\b)", "TIME"),
        (r"(pid|bytes|heartbeat) +\d+", r"\1 N"),
        (r"redis://\S+", "URL"),
        (r"(Valkey|Redis|namespace|aqueue) [\w.]+(?=,|\n)", r"\1 NAME"),
        (r'File ".*", line \d+', 'File "PLACE"'),
        (r"(ahead of|behind)", "beside"),
        (r"[0-9a-f]{28,32}", "ID"),
        (r" +", " "),
    ):
        text = re.sub(pattern, word, text)
    return text


def test_the_samples_print_what_the_page_says(
    tmp_path: Path, namespace: str, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> None:
    [module] = re.findall(r"^```python\n# tasks.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "tasks.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    with Server("--appendfsync", "everysec") as server:
        monkeypatch.setenv("AQUEUE_URL", server.url)
        for line, printed in samples():
            program, *args = shlex.split(line)
            assert program == "aqueue"
            shown = invoke(*args).output
            assert plain(shown) == plain(printed), line


def test_every_command_has_a_section() -> None:
    assert set(SECTION) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_options_of_each_command_are_those_of_its_section(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts if option[0] == "-"}
    cells = re.findall(r"^\| (`-.*?) \|", SECTION[name], re.MULTILINE)
    described = {word for cell in cells for word in re.findall(r"`(--?[\w-]+)", cell)}

    assert described == options - COMMON


def test_all_commands_but_two_print_json() -> None:
    for name, command in COMMANDS.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) == (name not in ("worker", "demo")), name
