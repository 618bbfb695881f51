"""Function <-> import path.

Imports users' modules when a path is resolved; runs nothing of theirs besides that.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from aqueue._core.decorated import Decorated
from aqueue.errors import SettingsError

_MAX_PATH = 500


class UnknownFunction(LookupError):
    """The module or the attribute does not exist here; another worker may have it."""


_paths: WeakKeyDictionary[Callable[..., Any], str] = WeakKeyDictionary()


def split_call(func: Callable[..., Any] | str, args: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The import path and the positional arguments of a call.

    A method of an instance becomes the function of its class with the instance as first argument.

    Raises:
        SettingsError: The function cannot be imported by a worker; the message says what to do.
    """
    if isinstance(func, str):
        return check_path(func), args
    if isinstance(func, MethodType) and not isinstance(func.__self__, type):
        return function_path(func.__func__), (func.__self__, *args)
    return function_path(func), args


def check_path(path: str) -> str:
    """The path itself, if it can be one: dotted names, at least a module and an attribute.

    Raises:
        SettingsError: It is not one.
    """
    parts = path.split(".")
    if len(path) > _MAX_PATH or len(parts) < 2 or not all(part.isidentifier() for part in parts):
        shown = ascii(path) if len(path) <= 80 else ascii(path[:80]) + "..."
        raise SettingsError(f'function {shown} is not an import path like "package.module.function"')
    return path


def function_path(func: Callable[..., Any]) -> str:
    """The path under which a worker finds this function.

    Raises:
        SettingsError: A lambda, a nested function, one of `__main__`, a partial, or no function at all.
    """
    try:
        known = _paths.get(func)
    except TypeError:
        known = None
    return known if known is not None else _new_path(func)


def _new_path(func: Callable[..., Any]) -> str:
    module: Any
    name: Any
    owner = getattr(func, "__self__", None)
    if isinstance(func, MethodType) and isinstance(owner, type):
        # A classmethod belongs to the class it was taken from, not to the one that defines it.
        module, name = owner.__module__, f"{owner.__qualname__}.{func.__name__}"
    else:
        module, name = getattr(func, "__module__", None), getattr(func, "__qualname__", None)
    if not callable(func) or not isinstance(name, str) or not isinstance(module, str):
        raise SettingsError(
            f"cannot enqueue {type(func).__name__} object: give a function, a method or an import path"
        )
    _check_name(name)
    path = check_path(f"{_main_module(name) if module == '__main__' else module}.{name}")
    _check_found(path, sys.modules.get(module), name)
    _paths[func] = path
    return path


def _check_name(name: str) -> None:
    if "<lambda>" in name:
        raise SettingsError(
            "cannot enqueue a lambda: a worker could not import it. "
            "Give it a name with `def` at the top of a module"
        )
    if "<locals>" in name:
        raise SettingsError(
            f"cannot enqueue {name!r}: it is defined inside another function, "
            "so a worker could not import it. Move it to the top of a module"
        )


def _main_module(name: str) -> str:
    """The real name of the program's main module, which `python -m package.module` knows."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        raise SettingsError(
            f"cannot enqueue {name!r} of __main__: a worker's __main__ is another program. "
            "Move it to a module of its own and import it from there, or run this one with `python -m`"
        )
    return str(spec.name)


def _check_found(path: str, module: ModuleType | None, name: str) -> None:
    target: Any = module
    for part in name.split("."):
        target = getattr(target, part, None)
    if target is None:
        raise SettingsError(
            f"cannot enqueue {path}: its module has no such name, so a worker could not import it"
        )


def find_function(path: str) -> Callable[..., Any]:
    """Import what the path names.

    Raises:
        UnknownFunction: The module or the attribute does not exist here.
        SettingsError: It is no import path, or names something that cannot be called.
        Exception: Whatever the module's own code raises while it is imported.
    """
    parts = check_path(path).split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            target: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
                continue  # this module does not exist; any other name is missing inside it
            raise
        for part in parts[length:]:
            target = getattr(target, part, _MISSING)
        if target is _MISSING:
            break
        if not callable(target):
            raise SettingsError(f"{path} is a {type(target).__name__}, not a function")
        return target  # type: ignore[no-any-return]
    raise UnknownFunction(path)


_MISSING = object()


def is_coroutine_function(func: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine; sees through @job, partials and `async def __call__`."""
    if isinstance(func, Decorated):
        func = func.__wrapped__
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004


def describe_call(path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The call as RQ shows it, `module.f(1, b=2)`; arguments are cut, and a repr that raises is named."""
    shown = [_shown(value) for value in args] + [f"{name}={_shown(value)}" for name, value in kwargs.items()]
    return f"{path}({', '.join(shown)})"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__name__}>"
    return text if len(text) <= 100 else text[:97] + "..."
