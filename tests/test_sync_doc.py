"""The samples of docs/sync.md: they are Python, and what they import of aqueue is there."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from aqueue.sync import Queue
from tests import tasks

PAGE = (Path(__file__).parent.parent / "docs/sync.md").read_text("utf-8")
SAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_is_python_and_imports_what_is_there(sample: str) -> None:
    for node in ast.walk(ast.parse(sample)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aqueue"):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names)


def test_the_sample_for_jobs_in_threads_works_also_outside_of_a_job() -> None:
    loaded: list[str] = []
    names: dict[str, Any] = {"load": loaded.append}
    exec(next(sample for sample in SAMPLES if "def import_rows" in sample), names)
    names["import_rows"](["a", "b"])

    assert loaded == ["a", "b"]


def test_the_first_sample_enqueues(url: str) -> None:
    with pytest.raises(TimeoutError):
        exec(SAMPLES[0].replace("timeout=60", "timeout=0"), {"build_report": tasks.say_hello})

    assert Queue("reports").count() == 1
