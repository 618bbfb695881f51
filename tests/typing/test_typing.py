"""What mypy and pyright say about right and wrong calls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WRONG = HERE / "wrong_calls.py"
RIGHT = HERE / "right_calls.py"


def marked() -> set[tuple[str, int]]:
    lines = enumerate(WRONG.read_text("utf-8").splitlines(), start=1)
    return {(WRONG.name, number) for number, line in lines if line.endswith("# E")}


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_mypy_takes_right_calls_and_refuses_wrong_ones() -> None:
    found = re.findall(r"(\w+\.py):(\d+): error", run("mypy", str(RIGHT), str(WRONG)))

    assert {(name, int(line)) for name, line in found} == marked()


@pytest.mark.timeout(120)
def test_pyright_takes_right_calls_and_refuses_wrong_ones() -> None:
    # The project's own settings leave wrong calls out.
    command = ("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(HERE))
    found = json.loads(run(*command))["generalDiagnostics"]

    lines = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}
    assert lines == marked()
