"""Values as bytes and back: pickle, or any object with `dumps` and `loads`."""

from __future__ import annotations

import pickle
from typing import Any, Protocol

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


def check_serializer(given: Serializer | str | None) -> Serializer:
    """The serializer itself: None and "pickle" are the default.

    Raises:
        SettingsError: It lacks `dumps` or `loads`.
    """
    if given is None or given == "pickle":
        return PICKLE
    if callable(getattr(given, "dumps", None)) and callable(getattr(given, "loads", None)):
        assert not isinstance(given, str)
        return given() if isinstance(given, type) else given
    raise SettingsError(f'serializer={given!r} must be "pickle" or an object with dumps and loads')
