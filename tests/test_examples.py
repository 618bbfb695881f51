"""Every program in examples/ runs as it is; README's promises about itself hold."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", f"examples/{program}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=25)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_quickstart_prints_its_results() -> None:
    lines = run("quickstart.py").splitlines()

    assert lines[:3] == ["Hello, Ada!", "Hello, Grace!", "Hello, Linus!"]
    assert lines[-2:] == ["ZeroDivisionError: division by zero", "failed {'dividend': 1} failed jobs: 1"]


def test_progress_draws_a_bar_and_the_result() -> None:
    *bars, result = filter(None, run("progress.py").splitlines())

    assert result == "150 rows imported"
    drawn = [int(bar.split()[1].removesuffix("/150")) for bar in bars]
    assert drawn == sorted(drawn)
    assert drawn[-1] == 150
    assert len(set(drawn)) > 2


def test_the_tests_of_the_sample_app_pass() -> None:
    plugins = ["-p", "aqueue.pytest_plugin", "-p", "anyio.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-c", os.devnull, *plugins]
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    folder = ROOT / "examples" / "testing_an_app"
    done = subprocess.run(
        [*command, f"--rootdir={folder}"],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=25,
    )

    assert re.search(r"\b5 passed\b", done.stdout), done.stdout + done.stderr


def test_the_samples_of_the_page_on_testing_are_those_of_the_sample_app() -> None:
    tested = "".join(path.read_text("utf-8") for path in (ROOT / "examples" / "testing_an_app").glob("*.py"))
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.DOTALL)

    assert len(blocks) >= 5
    assert [block for block in blocks if block not in tested] == []


def test_cpu_in_processes_counts_and_ends_what_has_no_end() -> None:
    assert run("cpu_in_processes.py").splitlines() == [
        "7,837 primes below 80,000",
        "counted elsewhere: True",
        "JobTimeout: it ran longer than 0.5 s",
    ]


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")

    assert len(text.splitlines()) <= 200
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / target).exists(), target


def test_the_readme_has_one_line_for_the_demo_and_one_for_the_tests() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = [block.strip() for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)]

    assert next(block for block in blocks if block.endswith("aqueue demo")).count("\n") == 0
    assert next(block for block in blocks if "-m pytest" in block).count("\n") == 0


@pytest.mark.parametrize("number", range(4))
def test_the_readme_s_python_compiles(number: int) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    assert len(blocks) == 4
    compile(blocks[number], f"README block {number}", "exec")
