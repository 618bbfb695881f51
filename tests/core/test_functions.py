"""Functions and their import paths: which can be enqueued, which are found."""

from __future__ import annotations

import functools
import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aqueue._core.functions import (
    UnknownFunction,
    check_path,
    describe_call,
    find_function,
    function_path,
    is_coroutine_function,
    split_call,
)
from aqueue.errors import SettingsError
from tests import tasks


class Counter:
    def __init__(self, start: int = 0) -> None:
        self.start = start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counter) and other.start == self.start

    __hash__ = None  # type: ignore[assignment]

    def add(self, n: int) -> int:
        return self.start + n

    @classmethod
    def zero(cls) -> Counter:
        return cls()

    @staticmethod
    def double(n: int) -> int:
        return 2 * n

    def __call__(self) -> int:
        return self.start


class Trap:
    def __repr__(self) -> str:
        raise RuntimeError("a trap")

    def __reduce__(self) -> Any:
        raise RuntimeError("a trap")


# -- function -> path


@pytest.mark.parametrize(
    ("func", "path"),
    [
        (tasks.add, "tests.tasks.add"),
        (Counter, f"{__name__}.Counter"),
        (Counter.add, f"{__name__}.Counter.add"),
        (Counter.zero, f"{__name__}.Counter.zero"),
        (Counter.double, f"{__name__}.Counter.double"),
        (len, "builtins.len"),
        (print, "builtins.print"),
        (math.sqrt, "math.sqrt"),
        (Path, f"{Path.__module__}.Path"),
    ],
)
def test_a_path_leads_back_to_its_function(func: Callable[..., Any], path: str) -> None:
    assert function_path(func) == path
    assert find_function(path) == func


def test_a_method_takes_its_instance_along() -> None:
    path, args = split_call(Counter(5).add, (1,))

    assert (path, args) == (f"{__name__}.Counter.add", (Counter(5), 1))
    assert find_function(path)(*args) == 6


def test_a_class_method_needs_no_instance() -> None:
    assert split_call(Counter.zero, (1,)) == (f"{__name__}.Counter.zero", (1,))


def test_a_path_goes_as_it_is() -> None:
    assert split_call("not.installed.here", (1,)) == ("not.installed.here", (1,))


def _nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


def _renamed() -> Callable[[], None]:
    def inner() -> None: ...

    inner.__qualname__ = "not_there"
    return inner


@pytest.mark.parametrize(
    ("func", "why"),
    [
        (lambda: 1, "a lambda"),
        (_nested(), "inside another function"),
        (_renamed(), "has no such name"),
        (functools.partial(tasks.add, 1), "cannot enqueue partial object"),
        (Counter(), "cannot enqueue Counter object"),
        (5, "cannot enqueue int object"),
        (None, "cannot enqueue NoneType object"),
        (tasks, "cannot enqueue module object"),
        (Trap(), "cannot enqueue Trap object"),
    ],
)
def test_what_a_worker_could_not_import_is_refused(func: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        split_call(func, ())


@pytest.mark.parametrize(
    "path",
    [
        "",
        "add",
        ".",
        "a.",
        ".a",
        "a..b",
        "a b.c",
        "os;system",
        "a.b()",
        "a.1b",
        "a" * 300 + "." + "b" * 300,
        "ä.\n",
    ],
)
def test_what_is_no_import_path_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="is not an import path") as caught:
        check_path(path)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def _main_function(monkeypatch: pytest.MonkeyPatch, spec: Any) -> Any:
    main = types.ModuleType("__main__")
    main.__spec__ = spec
    exec("def job(): ...", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    return main.__dict__["job"]


def test_a_function_of_a_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"'job' of __main__.*`python -m`"):
        function_path(_main_function(monkeypatch, None))


def test_a_function_of_a_module_run_with_dash_m_has_its_real_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert function_path(_main_function(monkeypatch, types.SimpleNamespace(name="pkg.mod"))) == "pkg.mod.job"


# -- path -> function


@pytest.mark.parametrize(
    "path",
    [
        "no_such_module.f",
        "tests.no_such_module.f",
        "tests.tasks.no_such_name",
        "tests.tasks.add.deeper",
        "math.x.y",
    ],
)
def test_what_does_not_exist_here_is_unknown(path: str) -> None:
    with pytest.raises(UnknownFunction):
        find_function(path)


@pytest.mark.parametrize("path", ["math.pi", "sys.path", "tests.tasks"])
def test_what_cannot_be_called_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="not a function"):
        find_function(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import not_installed", ModuleNotFoundError),
        ("1 / 0", ZeroDivisionError),
        ("raise SystemExit", SystemExit),
    ],
)
def test_an_import_that_fails_tells_its_own_error(
    folder: Path, source: str, error: type[BaseException]
) -> None:
    name = f"broken_{error.__name__}"
    (folder / f"{name}.py").write_text(source)

    with pytest.raises(error):
        find_function(f"{name}.f")


def test_a_package_whose_part_is_missing_inside_tells_its_own_error(folder: Path) -> None:
    (folder / "package_a").mkdir()
    (folder / "package_a" / "__init__.py").write_text("")
    (folder / "package_a" / "mod.py").write_text("import package_a.missing")

    with pytest.raises(ModuleNotFoundError, match=r"package_a\.missing"):
        find_function("package_a.mod.f")


@pytest.mark.parametrize(
    ("func", "is_coroutine"),
    [
        (tasks.add, True),
        (tasks.say_hello, False),
        (functools.partial(tasks.add, 1), True),
        (len, False),
        (Counter, False),
    ],
)
def test_coroutine_functions_are_told_from_others(func: Callable[..., Any], is_coroutine: bool) -> None:
    assert is_coroutine_function(func) is is_coroutine


def test_a_call_is_described_shortly_whatever_its_arguments_do() -> None:
    assert describe_call("m.f", (1, "x"), {"b": 2}) == "m.f(1, 'x', b=2)"
    assert describe_call("m.f", (Trap(),), {}) == "m.f(<Trap>)"
    assert len(describe_call("m.f", ("x" * 10_000,), {})) < 120
