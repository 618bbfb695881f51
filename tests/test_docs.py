"""What the documents point at exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@each_page
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?(?:\[[\w-]+\])?`", page.read_text("utf-8")):
        assert (ROOT / file).is_file(), file
        assert not name or name in _functions(ROOT / file), f"{file}::{name}"


@each_page
def test_the_files_that_a_page_links_to_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_each_failure_mode_names_its_test() -> None:
    rows = [
        line
        for line in (ROOT / "docs/failure-modes.md").read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]

    assert len(rows) > 40
    for row in rows:
        assert "`tests/" in row or row.endswith("Shown by |"), row
