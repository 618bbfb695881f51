"""Durations and instants: what users write, and the milliseconds that Redis holds."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue._core.clock import LONGEST_MS, delay_until, now_ms, to_instant, to_ms, to_seconds
from aqueue.errors import AqueueError, SettingsError

DURATIONS: list[tuple[Any, int]] = [
    (1, 1000),
    (0.5, 500),
    (1.5, 1500),
    (0.001, 1),
    (0.0001, 1),
    (0.1 + 0.2, 300),
    (180, 180_000),
    ("90", 90_000),
    ("1.5", 1500),
    ("500ms", 500),
    ("0.5ms", 1),
    ("3m", 180_000),
    ("1h30m", 5_400_000),
    ("1h 30m", 5_400_000),
    ("1H30M", 5_400_000),
    ("1.5h", 5_400_000),
    ("1.1h", 3_960_000),
    ("0.0001ms", 1),
    ("2d", 172_800_000),
    ("1w", 604_800_000),
    ("1w2d3h4m5s6ms", 788_645_006),
    ("1m1m", 120_000),
    (timedelta(minutes=3), 180_000),
    (timedelta(microseconds=1), 1),
    (timedelta(days=365), 31_536_000_000),
    (LONGEST_MS / 1000, LONGEST_MS),
    (1e-300, 1),
]

NOT_DURATIONS: list[Any] = [
    None, True, False, "", " ", "m", "3x", "3 minutes", "-3m", "1e3", "1:30", "3m extra", "m3", "nan",
    "inf", "٣m", "1" * 65, b"3m", [3], {}, object(), 3j, math.nan, datetime.now(UTC),
]  # fmt: skip

OUT_OF_RANGE: list[Any] = [
    -1, -0.5, 10**5000, timedelta(seconds=-1), math.inf, -math.inf, 1e300, 10**400, "9999999999999999w",
    timedelta.max, LONGEST_MS / 1000 + 1,
]  # fmt: skip


@pytest.mark.parametrize(("given", "ms"), DURATIONS, ids=[repr(value) for value, _ in DURATIONS])
def test_a_duration_is_milliseconds_rounded_up(given: Any, ms: int) -> None:
    assert to_ms(given, "ttl") == ms


@pytest.mark.parametrize("given", NOT_DURATIONS, ids=map(str, range(len(NOT_DURATIONS))))
def test_what_is_no_duration_is_refused_by_name(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"ttl=.* is not a duration"):
        to_ms(given, "ttl")


@pytest.mark.parametrize("given", OUT_OF_RANGE, ids=map(str, range(len(OUT_OF_RANGE))))
def test_what_is_too_short_or_too_long_is_refused_by_name(given: Any) -> None:
    with pytest.raises(SettingsError, match=r"ttl=.*(must be more than zero|longer than 1,000 years)"):
        to_ms(given, "ttl", zero=False)


@pytest.mark.parametrize("given", [0, 0.0, "0", "0s", "0ms", timedelta(0), -0.0])
def test_zero_counts_only_where_it_has_a_meaning(given: Any) -> None:
    assert to_ms(given, "result_ttl", zero=True) == 0
    with pytest.raises(SettingsError, match="must be more than zero"):
        to_ms(given, "ttl")


def test_a_bad_duration_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="ttl='soon'"):
        to_ms("soon", "ttl")
    with pytest.raises(AqueueError):
        to_ms(-1, "ttl")


@given(st.integers(1, LONGEST_MS))
def test_seconds_lead_back_to_the_same_milliseconds(ms: int) -> None:
    assert to_ms(to_seconds(ms), "ttl") == ms
    assert to_ms(timedelta(milliseconds=ms), "ttl") == ms
    assert to_ms(f"{ms}ms", "ttl") == ms


@given(st.floats() | st.integers() | st.text(max_size=80) | st.timedeltas() | st.none() | st.booleans())
def test_anything_is_a_duration_or_a_settings_error(value: Any) -> None:
    try:
        ms = to_ms(value, "ttl")
    except SettingsError:
        return
    assert 1 <= ms <= LONGEST_MS


@pytest.mark.parametrize(("ms", "seconds"), [(0, 0), (1000, 1), (1500, 1.5), (-1000, -1), (1, 0.001)])
def test_whole_seconds_are_ints(ms: int, seconds: float) -> None:
    assert to_seconds(ms) == seconds
    assert type(to_seconds(ms)) is type(seconds)


def test_instants_are_aware_and_in_utc() -> None:
    assert to_instant(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    assert to_instant(0).tzinfo is UTC


def test_instants_beyond_the_calendar_are_its_ends() -> None:
    assert to_instant(10**20) == datetime.max.replace(tzinfo=UTC)
    assert to_instant(-(10**20)) == datetime.min.replace(tzinfo=UTC)


def test_now_is_this_machines_clock() -> None:
    assert abs(now_ms() - time.time() * 1000) < 5000


AHEAD = timedelta(hours=1)
EXPECTED = pytest.approx(3_600_000, abs=5000)


def test_a_delay_is_the_same_whatever_the_time_zone() -> None:
    for zone in (UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))):
        assert delay_until(datetime.now(zone) + AHEAD, "when") == EXPECTED


def test_a_naive_datetime_is_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone in ("Asia/Tokyo", "America/New_York"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert delay_until(datetime.now() + AHEAD, "when") == EXPECTED
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "when", [datetime(1970, 1, 1), datetime(1, 1, 2, tzinfo=UTC), datetime.now(UTC) - AHEAD]
)
def test_an_instant_that_has_passed_is_now(when: datetime) -> None:
    assert delay_until(when, "when") == 0


@pytest.mark.parametrize(
    "when",
    [
        datetime.max,
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime(4000, 1, 1, tzinfo=UTC),
    ],
)
def test_an_instant_that_cannot_be_met_is_refused(when: datetime) -> None:
    with pytest.raises(SettingsError, match=r"when=.*(1,000 years ahead|cannot be converted)"):
        delay_until(when, "when")


@pytest.mark.parametrize("when", [3600, "2030-01-01", None, timedelta(hours=1), datetime.now(UTC).date()])
def test_what_is_no_datetime_is_refused(when: Any) -> None:
    with pytest.raises(SettingsError, match="is not a datetime"):
        delay_until(when, "when")
