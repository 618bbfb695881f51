"""S11: small texts that become large, or take for ever, are refused before they do."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from aqueue import JsonSerializer, PayloadError, Queue
from aqueue._core.codec import MAX_DECODED
from aqueue._core.json_serializer import MAX_VALUES
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES
from aqueue._core.record import JobRecord
from tests.security import jobs

#: Bomb -> the bound that refuses it.
BOMBS = {
    '"[" * 100_000 + "]" * 100_000': "more than 100 levels",
    """'{"a":' * 100_000 + "1" + "}" * 100_000""": "more than 100 levels",
    '"[" * 10_000_000': "more than 500,000 values",
    '"9" * 10_000_000': "an integer of more than 4,300 digits",
    '"-" + "9" * 10_000_000': "an integer of more than 4,300 digits",
    '"[1" + "0" * 10_000_000 + "]"': "an integer of more than 4,300 digits",
    '"1e" + "9" * 1_000_000': "too large",
    """"{" + ",".join(f'"{n}":0' for n in range(1_000_000)) + "}" """: "more than 500,000 values",
    '"[" + "[]," * 1_000_000 + "0]"': "more than 500,000 values",
    """'{"$set":[' + ",".join(map(str, range(1_000_000))) + "]}" """: "more than 500,000 values",
    '"[" + "1," * 34_000_000 + "1]"': "more than the 67,108,864 of max_job_bytes",
}

#: Decodes a bomb, and tells by how many MiB the process has grown.
SCRIPT = """
    import resource, sys
    from aqueue import PayloadError, Queue
    from aqueue._core.record import JobRecord

    def mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    codec = Queue("q", serializer="json").space.codec
    data = ({bomb}).encode()
    before = mib()
    try:
        codec.decode_result(JobRecord("a", {{}}), data)
    except PayloadError as error:
        print(mib() - before, error)
"""


def decode(bomb: str) -> tuple[int, str]:
    """In a process of its own: by how many MiB it has grown, and what was said."""
    code = textwrap.dedent(SCRIPT.format(bomb=bomb))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=25)
    grown, _, said = ended.stdout.partition(" ")
    return int(grown), said


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_by_a_bound_and_takes_little_memory(bomb: str) -> None:
    grown, said = decode(bomb)

    assert BOMBS[bomb] in said
    assert grown <= 32


def test_the_smallest_bombs_are_refused() -> None:
    codec = Queue("q", serializer="json").space.codec
    for bomb, bound in list(BOMBS.items())[:2]:
        with pytest.raises(PayloadError, match=bound):
            codec.decode_result(JobRecord("a", {}), eval(bomb).encode())


def test_none_is_sent(url: str) -> None:
    """They are refused where they are made, too, and before anything is stored."""
    codec = Queue("q", url, serializer="json").space.codec
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    for value, bound in (
        (deep, "more than 100 levels"),
        (10**5_000, "more than 4,300 digits"),
        ([0] * 500_001, "more than 500,000 values"),
        ("x" * (DEFAULT_MAX_JOB_BYTES + 1), "more than the 1,048,576 allowed"),
    ):
        with pytest.raises(PayloadError, match=bound):
            codec.encode_result(JobRecord("a", {}), value)


def test_commas_and_brackets_in_strings_are_text() -> None:
    value = ["a,[{" * MAX_VALUES, {"b": '",["\\' * 5}]

    assert JsonSerializer().loads(JsonSerializer().dumps(value)) == value


def test_the_most_values_that_there_may_be() -> None:
    most = [0] * MAX_VALUES
    assert JsonSerializer().loads(JsonSerializer().dumps(most)) == most
    with pytest.raises(ValueError, match="more than 500,000 values"):
        JsonSerializer().dumps([*most, 0])


async def test_pickles_are_measured_and_verified_before_they_are_read(url: str) -> None:
    """A pickle that is well-formed may allocate what it likes: so it is signed, or the Redis is trusted."""
    plain, signed = (Queue("q", url, signing_key=key).space.codec for key in (None, "k" * 20))
    record = JobRecord("a", {})

    with pytest.raises(PayloadError, match="of max_job_bytes"):
        plain.decode_result(record, bytes(MAX_DECODED + 1))
    with pytest.raises(Exception, match="is not signed"):
        signed.decode_result(record, bytes(MAX_DECODED + 1))


def test_a_retry_policy_is_no_bomb() -> None:
    for text in (b"[" * 100_000, b'{"max":' + b"9" * 10_000, json.dumps({"waits": [1] * 400_000}).encode()):
        with pytest.raises((ValueError, RecursionError, TypeError)):
            JobRecord("a", {b"retry": text}).check()


async def test_a_job_over_the_size_is_refused_where_it_is_made(queue: Queue) -> None:
    with pytest.raises(PayloadError, match="bytes, more than the"):
        await queue.enqueue(jobs.echo, "x" * (DEFAULT_MAX_JOB_BYTES + 1))
    assert await queue.count() == 0
