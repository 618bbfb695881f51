"""What docs/trust.md shows works as it says."""

from __future__ import annotations

import ast
import dataclasses
import enum
import os
import re
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, JsonSerializer, Queue, Worker
from aqueue._core.json_serializer import MAX_DEPTH, MAX_DIGITS, MAX_VALUES
from aqueue._core.signing import SHORTEST
from tests.security.conftest import KEY

PAGE = Path(__file__).parents[2].joinpath("docs/trust.md").read_text("utf-8")
SAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_samples_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_KEY", KEY)
    names: dict[str, Any] = {
        "Queue": Queue, "Worker": Worker, "Job": Job, "JsonSerializer": JsonSerializer, "os": os,
        "Enum": enum.Enum, "dataclass": dataclasses.dataclass, "__name__": __name__,
    }  # fmt: skip
    for sample in SAMPLES:
        tree = compile(sample, "trust.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        lines = [ast.unparse(line) for line in tree.body if "await " not in ast.unparse(line)]
        exec("\n".join(lines).replace("app.tasks", "tests.tasks"), names)

    codec = names["CODEC"]
    assert codec.dumps(names["Color"].RED).decode() == '{"$Color":"RED"}'
    assert codec.loads(codec.dumps(names["Point"](1.0, 2.0))) == names["Point"](1.0, 2.0)


def test_the_forms_of_the_table_are_read() -> None:
    forms = re.findall(r"`(\{\"\$[^`]+)`", PAGE[PAGE.index("| Python | JSON |") :])
    assert len(forms) == 7
    for form in forms[:-2]:
        JsonSerializer().loads(form.encode())


def test_the_limits_are_those_of_the_code() -> None:
    assert f"{MAX_DIGITS:,} digits, more than {MAX_DEPTH} levels" in " ".join(PAGE.split())
    assert f"more than {MAX_VALUES:,} values" in " ".join(PAGE.split())
    assert f"at least {SHORTEST} bytes" in PAGE
