"""Values as bytes and back: pickle, JSON, or any object with `dumps` and `loads`."""

from __future__ import annotations

import functools
import importlib
import pickle
from typing import Any, Protocol

from aqueue._core.json_serializer import JsonSerializer
from aqueue._core.names import _shown
from aqueue.errors import SettingsError


class Serializer(Protocol):
    """What `serializer=` takes: any object with these two methods."""

    def dumps(self, value: Any, /) -> bytes:
        """Encode a value."""
        ...

    def loads(self, data: bytes, /) -> Any:
        """Decode it."""
        ...


class PickleSerializer:
    """The default: any picklable value. Whoever can write to Redis can run code where it is decoded."""

    def dumps(self, value: Any, /) -> bytes:
        """Encode with protocol 5, which every supported Python reads."""
        return pickle.dumps(value, 5)

    def loads(self, data: bytes, /) -> Any:
        """Decode; runs what the data says."""
        return pickle.loads(data)


PICKLE = PickleSerializer()
JSON: JsonSerializer = JsonSerializer()
_NAMED: dict[str, Serializer] = {"pickle": PICKLE, "json": JSON}


class OpaqueSerializer:
    """For programs that count, list and move jobs: whatever they find, they never decode it."""

    def dumps(self, value: Any, /) -> bytes:
        """Refuse."""
        raise TypeError("this program makes no jobs")

    def loads(self, data: bytes, /) -> Any:
        """Refuse."""
        raise TypeError("this program decodes nothing")


OPAQUE: OpaqueSerializer = OpaqueSerializer()


def runs_code(serializer: Serializer) -> bool:
    """Whether decoding may run what the data says; of others, whoever gives them knows."""
    return isinstance(serializer, PickleSerializer) or serializer is pickle


def check_serializer(given: Serializer | str | None) -> Serializer:
    """The serializer itself: None is "pickle", "module:object" is imported.

    Raises:
        SettingsError: It lacks `dumps` or `loads`, or cannot be imported.
    """
    if given is None:
        return PICKLE
    found: Any = _named(given) if isinstance(given, str) else given
    if callable(getattr(found, "dumps", None)) and callable(getattr(found, "loads", None)):
        return found() if isinstance(found, type) else found  # type: ignore[no-any-return]
    raise SettingsError(
        f'serializer={_shown(given)} must be "pickle", "json", "module:object", or an object with dumps and '
        "loads"
    )


def _named(name: str) -> object:
    if name in _NAMED:
        return _NAMED[name]
    module, _, path = name.partition(":")
    if not (module and path):
        return None
    try:
        return functools.reduce(getattr, path.split("."), importlib.import_module(module))
    except Exception as error:
        raise SettingsError(
            f"serializer={_shown(name)} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def serializer_name(serializer: Serializer) -> str:
    """What it is called in messages."""
    for name, known in _NAMED.items():
        if type(serializer) is type(known):
            return name
    return type(serializer).__name__
