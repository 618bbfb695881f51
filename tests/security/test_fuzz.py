"""S03: whatever bytes stand where ours belong, the readers raise what they say, and nothing else."""

from __future__ import annotations

import functools
import json
import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from aqueue import BadSignature, PayloadError, Queue
from aqueue._core.record import Field, JobRecord
from aqueue._core.seal import MARK
from aqueue._redis import inspection, lookups
from aqueue._redis.keys import Keys
from aqueue.cli.job_facts import row_facts, whole_facts
from aqueue.connection import Namespace
from aqueue.inspection import Inspection, Row
from aqueue.workers import _info
from tests.security.conftest import KEY

COUNT = 10_000
FIELDS = [field.key for field in vars(JobRecord).values() if isinstance(field, Field)]
SEEDS = [
    *(b"[]", b'{"args":[],"kwargs":{}}', b'{"$datetime":["2026-01-31",0,"Europe/Berlin"]}', b"null", b"NaN"),
    *(b'{"$dict":[[1,2]]}', b'{"$decimal":"1.5"}', b'{"max":3,"waits":[0,10],"on":["ValueError"]}', b"1e999"),
    *(pickle.dumps([1, {"x": (2,)}], 0), pickle.dumps([1, {"x": (2,)}], 5), MARK + bytes(32) + b"[1]"),
    *(b"\x81\xa4args\x90", b"\xc7\x05\x01", b"\x1f\x8b\x08\0", b"\xef\xbb\xbf[]", b"", b"-1", b"9" * 400),
    *(b"queued", b"6:failed1:11:20:0:0:0:"),
]


@functools.cache
def noises() -> list[bytes]:
    """Random bytes, and what is nearly right: cut, joined, with a byte changed."""
    rng, made = random.Random(1), list[bytes]()
    for number in range(COUNT):
        if number % 4 == 0:
            made.append(rng.randbytes(rng.randrange(80)))
            continue
        text = bytearray(rng.choice(SEEDS) + rng.choice(SEEDS) * (number % 3 == 0))
        if number % 2:
            text = text[: rng.randrange(len(text) + 1)]
        if text and number % 4 > 1:
            text[rng.randrange(len(text))] = rng.randrange(256)
        made.append(bytes(text))
    return made


def space(**options: Any) -> Namespace:
    return Queue("q", namespace="ns", **options).space


def read_data(codec: Any, noise: bytes) -> Any:
    return codec.decode_call(JobRecord("a", {b"data": noise}))


def read_meta(codec: Any, noise: bytes) -> Any:
    return codec.decode_meta(JobRecord("a", {b"meta": noise}))


def read_result(codec: Any, noise: bytes) -> Any:
    return codec.decode_result(JobRecord("a", {}), noise)


@pytest.mark.parametrize("read", [read_data, read_meta, read_result])
def test_json_decodes_a_plain_value_or_says_that_it_cannot(read: Callable[[Any, bytes], Any]) -> None:
    codec, refused = space(serializer="json").codec, 0
    for noise in noises():
        try:
            read(codec, noise)
        except (PayloadError, BadSignature):
            refused += 1
    assert 0 < refused < COUNT


@pytest.mark.parametrize("read", [read_data, read_meta, read_result])
@pytest.mark.parametrize("serializer", ["pickle", "json"])
def test_with_a_key_nothing_of_it_is_decoded(read: Callable[[Any, bytes], Any], serializer: str) -> None:
    codec = space(serializer=serializer, signing_key=KEY).codec
    for noise in noises():
        with pytest.raises(BadSignature):
            read(codec, noise)


@pytest.mark.parametrize("name", FIELDS, ids=bytes.decode)
def test_a_field_of_a_record_stops_nobody(name: bytes) -> None:
    """A worker fails the job for it; who looks at jobs is told what can be told."""
    for number, noise in enumerate(noises()):
        record = JobRecord("a", {b"status": b"failed", b"queue": b"q", name: noise})
        with suppress(Exception):  # what a worker takes for a damaged record
            record.check()
        if number % 20 == 0:
            json.dumps(row_facts(Row("a", "q", record, 1.0)))


@pytest.mark.parametrize("number", range(3))
def test_a_record_whose_fields_are_all_damaged_is_shown(number: int) -> None:
    rng = random.Random(number)
    for _ in range(300):
        record = JobRecord("a", {name: rng.choice(noises()) for name in FIELDS})
        json.dumps(whole_facts(Inspection(record, 5, [], 1.0, None, 1_700_000_000_000)))


def test_histories_workers_and_rows() -> None:
    keys = Keys("ns")
    for noise in noises():
        try:
            lookups.history(keys, "a").decode([[noise]])
        except PayloadError:
            pass
        flat = [b"name", noise, b"lease", noise, b"heartbeat", noise, b"queues", noise, noise, noise]
        [record] = lookups.workers(keys, ["w"]).decode([flat])
        assert _info("w", record, 1).id == "w"
        inspection.rows(keys, "failed", "q", ["a"]).decode([[noise] * len(inspection.ROW_FIELDS), b"5"])
