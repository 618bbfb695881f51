"""JSON with tags: what goes in comes out, and what cannot is refused, on both sides."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import pickle
import time as clock
from collections import OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aqueue import JobStatus, JsonSerializer, SettingsError
from aqueue._core.json_serializer import MAX_DEPTH, MAX_DIGITS
from aqueue._core.serializers import JSON


class Color(enum.Enum):
    RED = 1
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass(frozen=True)
class Point:
    x: float
    y: Any = None


@dataclasses.dataclass(slots=True, kw_only=True)
class Line:
    points: list[Point]
    color: Color = Color.RED


MINE = JsonSerializer(types=[Color, Level, Rights, Point, Line, JobStatus])

_fixed = st.sampled_from([UTC, timezone(timedelta(hours=-5, seconds=7))])
_zones = st.one_of(st.none(), st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")]))
_members = [Color.RED, Color.GREEN, Level.LOW, Rights.READ | Rights.WRITE, Rights(0), JobStatus.QUEUED]


def _unfolded(value: Any) -> Any:
    """A fold means nothing beside a fixed offset."""
    return value.replace(fold=0)


_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(),
    st.binary(), st.datetimes(timezones=_zones), st.datetimes(timezones=_fixed).map(_unfolded), st.dates(),
    st.times().map(_unfolded), st.timedeltas(), st.uuids(), st.decimals(allow_nan=False),
    st.sampled_from(_members), st.builds(Point, st.integers(), st.text()),
)  # fmt: skip
_keys = st.one_of(st.text(), st.sampled_from(["$", "$dict", "$tuple", "$datetime", "$Point", "$x"]), _scalars)


def _inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_keys, inner, max_size=4), st.sets(_scalars, max_size=4),
        st.frozensets(_scalars, max_size=4), st.builds(Line, points=st.just([Point(1)]), color=inner),
    )  # fmt: skip


VALUES = st.recursive(_scalars, _inside, max_leaves=8)


def same(one: Any, two: Any) -> bool:
    """Equal, and of the same types all the way down; 1 == 1.0 == True would hide much."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return same([*one.items()], [*two.items()])  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(one, set | frozenset):
        return sorted(map(repr, one)) == sorted(map(repr, two))  # pyright: ignore[reportUnknownArgumentType]
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(two, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, datetime):
        return one == two and one.utcoffset() == two.utcoffset() and str(one) == str(two)
    return bool(one == two) and repr(one) == repr(two)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_what_goes_in_comes_out(value: Any) -> None:
    data = MINE.dumps(value)

    assert same(MINE.loads(data), value)
    assert data.isascii()
    json.loads(data)  # any JSON reader can read it


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(), st.text().map(str.encode), VALUES.map(MINE.dumps)), st.data())
def test_damaged_text_is_an_error_or_a_value_but_nothing_else(data: bytes, draw: Any) -> None:
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw.draw(st.binary(max_size=2)) + data[at + draw.draw(st.integers(0, 2)) :]
    try:
        MINE.loads(data)
    except Exception as error:
        assert not isinstance(error, RecursionError)  # noqa: PT017


def test_the_text_is_plain_where_json_has_the_type() -> None:
    value: Any = {"a": [1, 2.5, "ä", None, True], "b": {}, "$": 1, "$x": 2}
    assert MINE.dumps(value) == json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, (2,)), '{"$tuple":[1,{"$tuple":[2]}]}'),
        (b"\x00\xff", '{"$bytes":"AP8="}'),
        (datetime(2026, 1, 31, 5, tzinfo=UTC), '{"$datetime":"2026-01-31T05:00:00+00:00"}'),
        (date(2026, 1, 31), '{"$date":"2026-01-31"}'),
        (time(5, 30), '{"$time":"05:30:00"}'),
        (timedelta(days=1, seconds=2), '{"$timedelta":[1,2,0]}'),
        (UUID(int=1), '{"$uuid":"00000000-0000-0000-0000-000000000001"}'),
        (Decimal("1.50"), '{"$decimal":"1.50"}'),
        ({1: "a"}, '{"$dict":[[1,"a"]]}'),
        ({"$date": "x"}, '{"$dict":[["$date","x"]]}'),
        (Color.RED, '{"$Color":"RED"}'),
        (Rights.READ | Rights.WRITE, '{"$Rights":3}'),
        (Point(1, 2), '{"$Point":{"x":1,"y":2}}'),
    ],
)
def test_the_form_of_each_tag_stays_as_it_is(value: Any, text: str) -> None:
    assert MINE.dumps(value) == text.encode()
    assert same(MINE.loads(text.encode()), value)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_second_of_two_equal_hours_stays_the_second(fold: int) -> None:
    twice = datetime(2026, 10, 25, 2, 30, fold=fold)
    for value in (twice, twice.replace(tzinfo=ZoneInfo("Europe/Berlin"))):
        back = JSON.loads(JSON.dumps(value))
        assert (back, back.fold, back.tzinfo, back.utcoffset()) == (
            value,
            fold,
            value.tzinfo,
            value.utcoffset(),
        )


class Odd(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, dt: datetime | None) -> str:
        return "odd"


class Text(str):
    __slots__ = ()


class Pair(NamedTuple):
    a: int
    b: int


class Plain:
    pass


looped: list[Any] = []
looped.append(looped)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, [math.nan], {math.inf: 1}, Text("x"), OrderedDict[str, int](a=1),
        defaultdict[str, int](int), Pair(1, 2), Level.LOW, JobStatus.QUEUED, Color.RED, Point(1), object(),
        Plain(), len, Plain, 1j, range(3), bytearray(b"x"), memoryview(b"x"), 10**MAX_DIGITS, -(10**5000),
        looped, nested(MAX_DEPTH + 1), datetime(2026, 1, 1, tzinfo=Odd()), time(5, fold=1),
        time(5, tzinfo=ZoneInfo("Europe/Berlin")), ValueError("x"), {1: object()},
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_would_come_out_as_something_else_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        JSON.dumps(value)


def test_the_limits_are_reached_on_both_sides() -> None:
    for value in (nested(MAX_DEPTH), 10**MAX_DIGITS - 1, -(10**MAX_DIGITS) + 1):
        assert JSON.loads(JSON.dumps(value)) == value


def test_an_error_says_what_to_register() -> None:
    with pytest.raises(
        TypeError, match=r"test_json_serializer\.Point is not registered: JsonSerializer\(types=\[Point"
    ):
        JSON.dumps(Point(1))
    with pytest.raises(ValueError, match=r"the type 'Point' is not registered: JsonSerializer\(types="):
        JSON.loads(MINE.dumps(Point(1)))
    with pytest.raises(TypeError, match=r"builtins\.range has no form in JSON"):
        JSON.dumps(range(3))


HOSTILE = [
    '{"$os.system":"id"}', '{"$Plain":{}}', '{"$object":{}}', '{"$__class__":1}', '{"$":1}', '{"$x":1}',
    '{"$Point":[1,2]}', '{"$Point":{"x":1,"z":2}}', '{"$Point":{}}', '{"$Point":{"__class__":1}}',
    '{"$Color":1}', '{"$Color":"BLUE"}', '{"$Color":"__members__"}', '{"$Color":"_missing_"}',
    '{"$Color":["RED"]}', '{"$Point":null}', '{"$datetime":[]}',
    '{"$Rights":"READ"}', '{"$Rights":8}', '{"$Rights":true}', '{"$Level":"x"}', '{"$JobStatus":"queue"}',
    '{"$tuple":1}', '{"$tuple":"ab"}', '{"$tuple":{"a":1}}', '{"$set":[[]]}', '{"$set":"ab"}',
    '{"$frozenset":[{}]}',
    '{"$dict":[["a"]]}', '{"$dict":["ab"]}', '{"$dict":[[[],1]]}', '{"$dict":{"a":1}}', '{"$dict":1}',
    '{"$bytes":"%"}', '{"$bytes":1}', '{"$bytes":"QQ"}', '{"$datetime":"now"}', '{"$datetime":1}',
    '{"$datetime":["2026-01-01",0,"../../etc/passwd"]}', '{"$datetime":["2026-01-01",0,"/etc/passwd"]}',
    '{"$datetime":["2026-01-01",2,null]}', '{"$datetime":["2026-01-01",0,[]]}', '{"$datetime":{"a":1}}',
    '{"$date":"2026-13-01"}', '{"$date":1}', '{"$time":"25:00"}', '{"$timedelta":[1]}',
    '{"$timedelta":[1e9,0,0]}', '{"$timedelta":[999999999999,0,0]}', '{"$timedelta":"abc"}', '{"$uuid":"x"}',
    '{"$uuid":1}', '{"$decimal":"x"}', '{"$decimal":1.5}', '{"$decimal":[0,[1],2]}',
    "NaN", "[Infinity]", "-Infinity",
    "1e999", "-1e999",
    "", " ", "[", "]", "{", '{"a"', '"', "'a'", "{a:1}", "[1,]", "01", "0x10", "+1", "nul", "\ufeff[]",
    "[] []", "\0",
    "9" * (MAX_DIGITS + 1), "-" + "9" * 1_000_000, f"[{'9' * 100_000}]",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "[" * 100_000, '{"a":' * 100_000, '[{"a":' * 50_000,
    '{"$tuple":[' * 200 + "]}" * 200, '["' + '\\"' * 100_000, '"[' * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_hostile_text_is_refused_soon(text: str) -> None:
    began = clock.process_time()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        MINE.loads(text.encode())

    assert not isinstance(caught.value, RecursionError | MemoryError)
    assert clock.process_time() - began < 1


@pytest.mark.parametrize(
    "data", [b"\xff", "[1]".encode("utf-16"), "[1]".encode("utf-32"), pickle.dumps([1]), b"\x80\x05."]
)
def test_only_utf_8_is_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"codec|Expecting|Extra"):
        JSON.loads(data)


def test_brackets_in_strings_are_no_levels() -> None:
    value: Any = ["[{" * 1_000, '"[\\"[' * 1_000, {"[[[" * 100: "]"}, *[[]] * (MAX_DEPTH * 2)]
    assert JSON.loads(JSON.dumps(value)) == value


@dataclasses.dataclass
class Derived:
    x: int
    double: int = dataclasses.field(init=False)


@dataclasses.dataclass
class WithInitVar:
    x: int
    y: dataclasses.InitVar[int]


class Outer:
    class Color(enum.Enum):
        RED = 1


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ([Plain], "takes enumerations and dataclasses"),
        ([5], "takes enumerations and dataclasses"),
        ([Point(1)], "takes enumerations and dataclasses"),
        ([Derived], "other arguments than its fields"),
        ([WithInitVar], "other arguments than its fields"),
        ([Point, Point], "the name of two types"),
        ([enum.Enum("tuple", "A")], "the name of two types"),
    ],
)
def test_types_that_cannot_come_back_are_refused_at_once(types: list[Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        JsonSerializer(types=types)


def test_types_of_different_classes_may_have_one_short_name() -> None:
    both = JsonSerializer(types=[Color, Outer.Color])
    assert both.loads(both.dumps([Color.RED, Outer.Color.RED])) == [Color.RED, Outer.Color.RED]


def test_serializers_of_the_same_types_are_equal_and_can_be_sent_to_a_child_process() -> None:
    copy = pickle.loads(pickle.dumps(MINE))

    assert copy == MINE != JSON
    assert hash(copy) == hash(MINE)
    assert copy.loads(copy.dumps(Point(1))) == Point(1)
    assert repr(JsonSerializer(types=[Point])) == "JsonSerializer(types=[Point])"
