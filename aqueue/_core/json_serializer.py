"""JSON with tags for what JSON lacks: `{"$date": "2026-01-31"}`. Decoding makes nothing but registered types.

What comes back equals what was given, with the same types all the way down, or encoding fails: subclasses of
these types are not passed off as the type itself, and dictionaries whose keys are no strings, or look like a
tag, are written as `{"$dict": [[key, value], ...]}`.
"""

from __future__ import annotations

import base64
import dataclasses
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from itertools import accumulate
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from aqueue.errors import SettingsError

#: Lists and dictionaries within each other, tags included.
MAX_DEPTH = 100
#: Values and keys in all: a few bytes of text take a hundred times as much memory.
MAX_VALUES = 500_000
#: Digits of an integer; Python itself refuses more by default, as reading them takes quadratic time.
MAX_DIGITS = 4_300

#: All that opens or closes no level: strings, and what stands between brackets.
_LEVEL = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[^][{}"]+', re.DOTALL)
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
#: An integer of more bits has more than MAX_DIGITS digits.
_MAX_BITS = 14_285
_PLAIN = (str, bool, type(None))

Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]


class JsonSerializer:
    """JSON; decoding runs nothing but the constructors of the dataclasses given here.

    Beyond JSON: datetime, date, time, timedelta, UUID, Decimal, bytes, tuple, set, frozenset, dictionaries
    with any keys, and the given enumerations and dataclasses, which producers and workers must both give.
    """

    __slots__ = ("_decoders", "_tags", "_types")

    def __init__(self, types: Iterable[type] = ()) -> None:
        """Make a serializer; `types`: enumerations and dataclasses, told apart by their names.

        Raises:
            SettingsError: One is neither, cannot be restored by its constructor, or has the name of another.
        """
        self._types: tuple[type, ...] = tuple(types)
        self._tags: dict[type, tuple[str, Encode]] = dict(_ENCODERS)
        self._decoders: dict[str, Decode] = dict(_DECODERS)
        for kind in self._types:
            tag, encode, decode = _registered(kind)
            if tag in self._decoders:
                raise SettingsError(f"JsonSerializer(types=...): {tag[1:]!r} is the name of two types")
            self._tags[kind], self._decoders[tag] = (tag, encode), decode

    def __repr__(self) -> str:
        return f"JsonSerializer(types=[{', '.join(kind.__name__ for kind in self._types)}])"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonSerializer) and other._types == self._types

    def __hash__(self) -> int:
        return hash(self._types)

    def __reduce__(self) -> tuple[type[JsonSerializer], tuple[tuple[type, ...]]]:
        return JsonSerializer, (self._types,)

    def dumps(self, value: Any, /) -> bytes:
        """Encode as ASCII text.

        Raises:
            TypeError: A value that it does not know.
            ValueError: A number that is not finite or has too many digits; too many levels or values.
        """
        plain = self._plain(value, MAX_DEPTH)
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False, check_circular=False)
        _check_count(text)
        return text.encode()

    def loads(self, data: bytes, /) -> Any:
        """Decode; makes nothing but the types in the list.

        Raises:
            ValueError: Not such a text.
            Exception: What the constructor of a dataclass raises.
        """
        text = data.decode("utf-8")
        _check_count(text)
        if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels")
        return json.loads(
            text,
            object_hook=self._hook,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )

    def _plain(self, value: Any, levels: int) -> Any:
        """The value in terms of JSON."""
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind in _PLAIN:
            return value
        if kind is int or kind is float:
            return _checked(value)
        if levels < 1:
            raise ValueError(f"more than {MAX_DEPTH} levels, or a value that contains itself")
        if kind is list:
            return [self._plain(item, levels - 1) for item in value]
        if kind is dict:
            return self._plain_dict(value, levels)
        if kind not in self._tags:
            raise TypeError(_unknown(kind))
        tag, encode = self._tags[kind]
        return {tag: self._plain(encode(value), levels - 1)}

    def _plain_dict(self, value: dict[Any, Any], levels: int) -> dict[str, Any]:
        is_plain = all(type(key) is str for key in value)
        if is_plain and not (len(value) == 1 and next(iter(value)).startswith("$")):
            return {key: self._plain(item, levels - 1) for key, item in value.items()}
        return {"$dict": self._plain([[key, item] for key, item in value.items()], levels - 1)}

    def _hook(self, found: dict[str, Any]) -> Any:
        """A dictionary as JSON has it, whose values are decoded already."""
        if len(found) != 1:
            return found
        [(tag, value)] = found.items()
        if not tag.startswith("$"):
            return found
        decode = self._decoders.get(tag)
        if decode is None:
            raise ValueError(f"the type {tag[1:]!r} is not registered: JsonSerializer(types=[...])")
        return decode(value)


def _depth(text: str) -> int:
    """The levels of a JSON text; brackets in its strings are none."""
    return max(accumulate(map(_STEPS.__getitem__, _LEVEL.sub("", text))), default=0)


def _check_count(text: str) -> None:
    if _marks(text) > MAX_VALUES and _marks(_STRING.sub("", text)) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES:,} values")


def _marks(text: str) -> int:
    """What stands before each value but the first; in strings it may be text."""
    return text.count(",") + text.count("[") + text.count("{")


def _checked(value: int | float) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"JSON has no {value}")
    elif value.bit_length() > _MAX_BITS:
        raise ValueError(f"an integer of more than {MAX_DIGITS:,} digits")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"an integer of more than {MAX_DIGITS:,} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number that is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _unknown(kind: type[Any]) -> str:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if issubclass(kind, Enum) or dataclasses.is_dataclass(kind):
        return f"{name} is not registered: JsonSerializer(types=[{kind.__name__}])"
    return f"{name} has no form in JSON: convert it, or use another serializer"


# -- the types that need no registration


def _text(make: Callable[[str], Any]) -> Decode:
    """Decode from a string only."""

    def decode(value: Any) -> Any:
        if type(value) is not str:
            raise ValueError(f"a string is missing for {getattr(make, '__qualname__', make)}")
        return make(value)

    return decode


def _items(make: Callable[[list[Any]], Any]) -> Decode:
    """Decode from a list only."""

    def decode(value: Any) -> Any:
        if type(value) is not list:
            raise ValueError(f"a list is missing for {getattr(make, '__qualname__', make)}")
        return make(value)  # pyright: ignore[reportUnknownArgumentType]

    return decode


def _datetime(value: datetime) -> str | list[Any]:
    """ISO text; apart from its zone where that is a named one, whose offset depends on the date."""
    if value.tzinfo is not None and value.utcoffset() is None:
        raise ValueError("a datetime whose zone tells no offset cannot be written")
    if isinstance(value.tzinfo, ZoneInfo) or (value.fold and value.tzinfo is None):
        return [value.replace(tzinfo=None).isoformat(), value.fold, _zone_name(value.tzinfo)]
    return value.isoformat()


def _zone_name(zone: tzinfo | None) -> str | None:
    name = getattr(zone, "key", None)
    if zone is not None and name is None:
        raise ValueError("a ZoneInfo without a key cannot be written")
    return name


def _to_datetime(value: Any) -> datetime:
    if type(value) is str:
        return datetime.fromisoformat(value)
    text, fold, zone = value
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=None if zone is None else ZoneInfo(zone))


def _time(value: time) -> str:
    if value.fold or (value.tzinfo is not None and type(value.tzinfo) is not timezone):
        raise ValueError("a time whose meaning depends on the date (fold, or a named zone) cannot be written")
    return value.isoformat()


def _timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _to_timedelta(value: list[Any]) -> timedelta:
    days, seconds, microseconds = map(_whole, value)
    return timedelta(days, seconds, microseconds)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("an integer is missing")
    return value


def _to_dict(pairs: list[Any]) -> dict[Any, Any]:
    if not all(type(pair) is list and len(pair) == 2 for pair in pairs):
        raise ValueError("a pair of key and value is missing")
    return dict(pairs)


def _bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _to_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_ENCODERS: dict[type, tuple[str, Encode]] = {
    tuple: ("$tuple", list),
    set: ("$set", list),
    frozenset: ("$frozenset", list),
    bytes: ("$bytes", _bytes),
    datetime: ("$datetime", _datetime),
    date: ("$date", date.isoformat),
    time: ("$time", _time),
    timedelta: ("$timedelta", _timedelta),
    UUID: ("$uuid", str),
    Decimal: ("$decimal", str),
}
_DECODERS: dict[str, Decode] = {
    "$dict": _items(_to_dict),
    "$tuple": _items(tuple),
    "$set": _items(set),
    "$frozenset": _items(frozenset),
    "$bytes": _text(_to_bytes),
    "$datetime": _to_datetime,
    "$date": _text(date.fromisoformat),
    "$time": _text(time.fromisoformat),
    "$timedelta": _items(_to_timedelta),
    "$uuid": _text(UUID),
    "$decimal": _text(Decimal),
}


# -- registered types


def _registered(kind: object) -> tuple[str, Encode, Decode]:
    """A type's tag, and how it becomes plain and comes back."""
    if isinstance(kind, type) and issubclass(kind, Flag):
        return f"${kind.__qualname__}", lambda flag: flag.value, lambda value: kind(_whole(value))
    if isinstance(kind, type) and issubclass(kind, Enum):
        members = kind.__members__
        return f"${kind.__qualname__}", lambda member: member.name, _text(lambda name: members[name])
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"${kind.__qualname__}", *_dataclass(kind)
    raise SettingsError(f"JsonSerializer(types=...) takes enumerations and dataclasses, not {kind!r}")


def _dataclass(kind: type) -> tuple[Encode, Decode]:
    names = [field.name for field in dataclasses.fields(kind)]
    if set(inspect.signature(kind).parameters) != set(names):
        raise SettingsError(
            f"JsonSerializer(types=...): {kind.__qualname__} cannot be restored, as its constructor takes "
            "other arguments than its fields"
        )

    def encode(value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in names}

    def decode(value: Any) -> Any:
        if type(value) is not dict:
            raise ValueError(f"the fields of {kind.__qualname__} are missing")
        return kind(**value)

    return encode, decode
