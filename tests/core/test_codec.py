"""Arguments, results and meta as bytes and back, and what goes wrong with them."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import pytest

from aqueue._core import codec as codec_module
from aqueue._core.codec import Codec
from aqueue._core.record import JobRecord
from aqueue._core.seal import Seal
from aqueue._core.serializers import PICKLE, check_serializer
from aqueue.errors import PayloadError, SettingsError

UNSIGNED = Seal("aqueue", None)
CODEC = Codec(PICKLE, 1_000, UNSIGNED)


@dataclass
class Point:
    x: int


class Trap:
    def __reduce__(self) -> Any:
        raise RuntimeError("a trap")


class TextSerializer:
    def dumps(self, value: Any) -> Any:
        return str(value)

    def loads(self, data: bytes) -> Any:
        return data


def record(**fields: bytes) -> JobRecord:
    return JobRecord("a", {name.encode(): value for name, value in fields.items()})


@pytest.mark.parametrize("value", [None, 5, "ä", b"\0", {"a": [1, 2]}, Point(3)])
def test_values_come_back(value: Any) -> None:
    assert CODEC.decode_result(record(), CODEC.encode_result(record(), value)) == value


@pytest.mark.parametrize("value", [lambda: 1, Trap(), (n for n in range(3))])
def test_what_cannot_be_encoded_is_named(value: Any) -> None:
    with pytest.raises(PayloadError, match="the result of job 'a' cannot be encoded: "):
        CODEC.encode_result(record(), value)
    with pytest.raises(PayloadError, match=r"the arguments of m\.f cannot be encoded: "):
        CODEC.encode_call("m.f", (value,), {})
    with pytest.raises(PayloadError, match=r"the meta of m\.f cannot be encoded: "):
        CODEC.encode_meta("a", "m.f", {"x": value})


@pytest.mark.parametrize("data", [b"", b"garbage", b"\x80\x05", b"cno_such_module\nf\n."])
def test_what_cannot_be_decoded_is_named(data: bytes) -> None:
    with pytest.raises(PayloadError, match="the result of job 'a' cannot be decoded: "):
        CODEC.decode_result(record(), data)
    with pytest.raises(PayloadError, match="the arguments of job 'a' cannot be decoded: "):
        CODEC.decode_call(record(data=data))
    with pytest.raises(PayloadError, match="the meta of job 'a' cannot be decoded: "):
        CODEC.decode_meta(record(meta=data))


def test_arguments_come_back() -> None:
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}), (([1],), {}), (([1],), {"b": 2}), ((), {"args": [1], "kwargs": {}}),
    ]  # fmt: skip
    for call in calls:
        assert CODEC.decode_call(record(data=CODEC.encode_call("m.f", *call))) == call


@pytest.mark.parametrize(
    "value", [None, 5, (1,), "ab", {}, {"args": "ab", "kwargs": {}}, {"args": [1], "kwargs": 5}]
)
def test_what_are_no_arguments_is_named(value: Any) -> None:
    with pytest.raises(PayloadError, match="the arguments of job 'a' are neither a list nor"):
        CODEC.decode_call(record(data=PICKLE.dumps(value)))


def test_missing_arguments_are_named() -> None:
    with pytest.raises(PayloadError, match="the arguments of job 'a' are missing"):
        CODEC.decode_call(record())


def test_meta_that_is_no_dictionary_is_named() -> None:
    with pytest.raises(PayloadError, match="the meta of job 'a' is not a dictionary"):
        CODEC.decode_meta(record(meta=PICKLE.dumps(5)))
    with pytest.raises(SettingsError, match="meta must be a dictionary, not list"):
        CODEC.encode_meta("a", "m.f", [])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_results_and_meta_over_the_limit_are_refused() -> None:
    with pytest.raises(PayloadError, match=r"the result of job 'a' has .* more than the 1,000 allowed"):
        CODEC.encode_result(record(), "x" * 1_000)
    with pytest.raises(PayloadError, match=r"the meta of m\.f has .* more than the 1,000 allowed"):
        CODEC.encode_meta("a", "m.f", {"x": "x" * 1_000})


def test_a_serializer_that_returns_no_bytes_is_told_so() -> None:
    with pytest.raises(PayloadError, match=r"dumps\(\) of the serializer returned str, not bytes"):
        Codec(TextSerializer(), 1_000, UNSIGNED).encode_result(record(), 5)


def test_a_serializer_is_an_object_a_class_or_a_name() -> None:
    mine = TextSerializer()

    assert check_serializer(None) is check_serializer("pickle") is PICKLE
    assert check_serializer(mine) is mine
    assert isinstance(check_serializer(TextSerializer), TextSerializer)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["yaml", 5, object(), types.SimpleNamespace(dumps=5, loads=5)])
def test_what_is_no_serializer_is_refused(given: Any) -> None:
    with pytest.raises(SettingsError, match="serializer="):
        check_serializer(given)


def test_what_is_too_large_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "MAX_DECODED", 2_000)
    data = PICKLE.dumps("x" * 2_000)
    said = r"has 2,0\d\d bytes, more than the 2,000 of max_job_bytes"
    with pytest.raises(PayloadError, match=said):
        CODEC.decode_result(record(), data)
    with pytest.raises(PayloadError, match=said):
        CODEC.decode_meta(record(meta=data))
    with pytest.raises(PayloadError, match=said):
        CODEC.decode_call(record(data=data))

    assert Codec(PICKLE, 3_000, UNSIGNED).decode_result(record(), data) == "x" * 2_000
