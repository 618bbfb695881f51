"""Which functions a worker may run that does not run everything: whoever can write to Redis chooses the path.

Nothing is imported before its module is known to be listed, and nothing is looked up inside of what a
module holds: a path leads to a function at the top of the module that defines it, or nowhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from aqueue._core.functions import UnknownFunction, check_path, find_function
from aqueue._core.names import _shown
from aqueue.errors import SettingsError

_registered: set[str] = set()


def register(path: str) -> None:
    """Let workers run the function at this path whatever their allow list; for decorators."""
    _registered.add(path)


class Allowed:
    """The functions of some modules and of their submodules, and those that are registered."""

    __slots__ = ("modules",)

    def __init__(self, modules: Iterable[str] | str) -> None:
        """List modules; [] for registered functions only.

        Raises:
            SettingsError: One is no module.
        """
        if not isinstance(modules, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(f"allow={_shown(modules)} must be a list of modules")
        listed = [modules] if isinstance(modules, str) else list(modules)
        self.modules: tuple[str, ...] = tuple(map(_check_module, listed))

    def find(self, path: str) -> Callable[..., Any]:
        """Import what the path names.

        Raises:
            SettingsError: It may not run here.
            UnknownFunction: It may, but does not exist here.
            Exception: Whatever the module's own code raises while it is imported.
        """
        if path in _registered:
            return find_function(path)
        module, _, name = check_path(path).rpartition(".")
        if not self._lists(module) or any(_is_special(part) for part in path.split(".")):
            raise SettingsError(f"function {_shown(path)} is not allowed here: {self}")
        found: Any = vars(_import(module, path)).get(name, _MISSING)
        if found is _MISSING:
            raise UnknownFunction(path)
        if path not in _registered and not _is_defined(found, module, name):
            raise SettingsError(
                f"function {path} is not allowed here: it is not a function that {module} itself defines"
            )
        return found  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Callable[..., Allowed], tuple[tuple[str, ...], tuple[str, ...]]]:
        """For child processes, which have not imported what registers itself here."""
        return _restore, (self.modules, tuple(_registered))

    def __str__(self) -> str:
        return f"only functions of {', '.join(self.modules) or 'no module'} and decorated ones are"

    def _lists(self, module: str) -> bool:
        return any(module == listed or module.startswith(f"{listed}.") for listed in self.modules)


def _restore(modules: tuple[str, ...], registered: tuple[str, ...]) -> Allowed:
    _registered.update(registered)
    allowed = Allowed(())
    allowed.modules = modules
    return allowed


_MISSING: object = object()


def _check_module(name: object) -> str:
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise SettingsError(f'allow={_shown(name)} is no module: give names like "app.tasks"')
    if any(_is_special(part) for part in name.split(".")):
        raise SettingsError(f"allow={_shown(name)}: a worker cannot import a special module")
    try:
        spec = importlib.util.find_spec(name)
    except Exception as error:
        raise SettingsError(f"allow={name!r} cannot be imported: {type(error).__name__}: {error}") from error
    if spec is None:
        raise SettingsError(f"allow={name!r}: there is no such module here")
    return name


def _is_special(part: str) -> bool:
    return part.startswith("__") and part.endswith("__")


def _import(module: str, path: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module and not module.startswith(f"{error.name}."):
            raise  # a module that is missing inside it
    owner, _, name = module.rpartition(".")
    if owner in sys.modules and name in vars(sys.modules[owner]):
        raise SettingsError(
            f"function {path} is not allowed here: it is not at the top of a module. Only functions are, no "
            "methods and no classes"
        )
    raise UnknownFunction(path)


def _is_defined(found: object, module: str, name: str) -> bool:
    """Whether it was defined there under this name, and not imported from elsewhere. Classes do not count."""
    here = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    return callable(found) and not isinstance(found, type) and here == (module, name)
