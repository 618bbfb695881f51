"""`JobRecord`: facts read from the raw hash, with a default for each that is not stored."""

from __future__ import annotations

from typing import Any, TypeGuard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue._core.options import (
    DEFAULT_FAILURE_TTL_MS,
    DEFAULT_MAX_LOST,
    DEFAULT_RESULT_TTL_MS,
    Retry,
)
from aqueue._core.record import Field, JobRecord
from aqueue._core.status import ENDED, REGISTRY_OF, TRANSITIONS, WAITING, JobStatus


def _is_field(value: object) -> TypeGuard[Field[Any]]:
    return isinstance(value, Field)


FIELDS = {name: value for name, value in vars(JobRecord).items() if _is_field(value)}
NUMBERS = [name for name, field in FIELDS.items() if field.decode is int]
TEXTS = [
    "queue",
    "function",
    "description",
    "nonce",
    "token",
    "request",
    "exc_info",
    "error_type",
    "error_message",
]


def test_an_empty_record_has_every_default() -> None:
    record = JobRecord("a", {})

    assert all(getattr(record, name) == field.default for name, field in FIELDS.items())
    assert (record.status, record.timeout, record.max_lost) == ("created", 180_000, DEFAULT_MAX_LOST)
    assert (record.result_ttl, record.failure_ttl) == (DEFAULT_RESULT_TTL_MS, DEFAULT_FAILURE_TTL_MS)
    assert (record.retries_left, record.worker_name, record.created_at) == (None, None, None)


def test_each_field_has_a_key_of_its_own() -> None:
    assert len({field.key for field in FIELDS.values()}) == len(FIELDS)


@given(st.sampled_from(NUMBERS), st.integers(-(2**53), 2**53))
def test_numbers_come_back_as_they_were_stored(name: str, number: int) -> None:
    assert getattr(JobRecord("a", {FIELDS[name].key: b"%d" % number}), name) == number


@given(st.sampled_from(TEXTS), st.text())
def test_text_comes_back_as_it_was_stored(name: str, text: str) -> None:
    assert (
        getattr(JobRecord("a", {FIELDS[name].key: text.encode("utf-8", "replace")}), name)
        == text.encode("utf-8", "replace").decode()
    )


@given(st.sampled_from(TEXTS), st.binary())
def test_damaged_text_is_still_text(name: str, raw: bytes) -> None:
    assert isinstance(getattr(JobRecord("a", {FIELDS[name].key: raw}), name), str)


@pytest.mark.parametrize("status", list(JobStatus))
def test_a_status_equals_its_string(status: JobStatus) -> None:
    record = JobRecord("a", {b"status": status.encode()})

    assert record.status is status
    assert record.status == str(status)


@given(
    st.dictionaries(st.sampled_from(["queue", "token", "error_type"]), st.text(st.characters(codec="utf-8")))
)
def test_evolve_sets_fields_and_leaves_the_original_alone(changes: dict[str, Any]) -> None:
    before = JobRecord("a", {b"queue": b"default", b"token": b"t"})
    after = before.evolve(**changes)

    assert before.fields == {b"queue": b"default", b"token": b"t"}
    assert all(getattr(after, name) == value for name, value in changes.items())
    assert after.evolve(queue=None, token=None, error_type=None).fields == {}


def test_evolve_takes_numbers_and_bytes_too() -> None:
    record = JobRecord("a", {}).evolve(priority=-5, data=b"\xff")

    assert (record.id, record.priority, record.data) == ("a", -5, b"\xff")


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, None),
        ({b"token": b"uuid:n:1"}, "uuid"),
        ({b"token": b"uuid:n:1", b"worker_name": b"london"}, "london"),
    ],
)
def test_a_worker_is_known_by_its_name_or_by_the_uuid_in_the_token(
    fields: dict[bytes, bytes], name: str | None
) -> None:
    assert JobRecord("a", fields).worker_name == name


@pytest.mark.parametrize(("attempts", "left"), [(0, 3), (2, 1), (3, 0), (9, 0)])
def test_retries_left_are_counted_from_the_policy(attempts: int, left: int) -> None:
    record = JobRecord("a", {b"retry": Retry(max=3).encode().encode(), b"attempts": b"%d" % attempts})

    assert record.retries_left == left


def test_a_job_that_was_queued_at_once_was_created_then() -> None:
    assert JobRecord("a", {b"enqueued_at": b"5"}).created_at == 5
    assert JobRecord("a", {b"enqueued_at": b"5", b"created_at": b"3"}).created_at == 3


# -- the state machine as data


def test_every_status_waits_has_ended_or_is_created_or_started() -> None:
    assert set(JobStatus) == WAITING | ENDED | {JobStatus.CREATED, JobStatus.STARTED}
    assert not WAITING & ENDED


def test_every_status_but_created_has_a_registry() -> None:
    assert set(JobStatus) - REGISTRY_OF.keys() == {JobStatus.CREATED}


def test_every_status_can_be_left_and_all_but_deferred_reached() -> None:
    left = {status for targets in TRANSITIONS.values() for status in targets}
    reached = {
        after
        for targets in TRANSITIONS.values()
        for before, afters in targets.items()
        for after in afters - {before}
    }

    assert left >= set(JobStatus)
    assert reached == {None, *JobStatus} - {JobStatus.DEFERRED}
