"""A function with the options of its jobs: what `@job` makes, as far as enqueuing and running know of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from aqueue._core.signatures import P
from aqueue.errors import SettingsError

#: What a call of the function returns: a coroutine, when it is a coroutine function.
T_co = TypeVar("T_co", covariant=True)


class Decorated(Generic[P, T_co]):
    """Stands for the function under its name: calling it runs the function here."""

    __wrapped__: Callable[P, T_co]
    __module__: str
    __name__: str
    __qualname__: str

    def __init__(self, func: Callable[P, T_co], defaults: Mapping[str, Any]) -> None:
        """Wrap a function.

        Raises:
            SettingsError: No function, or one that belongs to a class.
        """
        name: object = getattr(func, "__qualname__", None)
        if not callable(func) or isinstance(func, type | Decorated) or not isinstance(name, str):
            raise SettingsError(f"@job is for functions, not for {func!r}")
        if "." in name.rpartition("<locals>.")[2]:
            raise SettingsError(
                f"@job is not for {name}, which belongs to a class: move it to the top of a module, "
                "or enqueue the method itself with queue.enqueue(instance.method, ...)"
            )
        functools.update_wrapper(self, func)
        #: Options that count where a call gives none.
        self.defaults = defaults

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Run the function here, as if it were not decorated."""
        return self.__wrapped__(*args, **kwargs)

    def __reduce__(self) -> str:
        """Pickled by its name, as functions are."""
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.__module__}.{self.__qualname__}>"


def with_defaults(func: object, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a call: those of the function's own decorator count where the call gives none."""
    if isinstance(func, Decorated) and func.defaults:
        return {**func.defaults, **given}
    return given
