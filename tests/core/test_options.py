"""What users may set on a job, and `Retry`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aqueue._core.clock import LONGEST_MS
from aqueue._core.options import UNLIMITED, Retry, RetryPolicy, check_options, check_timeout, show_limit
from aqueue.errors import SettingsError

DAY = 86_400_000


def policy(**options: Any) -> RetryPolicy:
    """A policy as another program reads it."""
    return RetryPolicy.decode(Retry(**options).encode().encode())


# -- options


def test_nothing_given_means_the_defaults() -> None:
    options = check_options({})

    assert (options.timeout, options.result_ttl, options.ttl, options.failure_ttl) == (None, None, None, None)
    assert (options.priority, options.at_front, options.retry, options.description) == (0, False, None, None)


def test_durations_are_milliseconds() -> None:
    options = check_options(
        {"job_timeout": "3m", "ttl": 43, "result_ttl": 0.5, "failure_ttl": timedelta(hours=1)}
    )

    assert (options.timeout, options.ttl, options.result_ttl, options.failure_ttl) == (
        180_000,
        43_000,
        500,
        3_600_000,
    )


@pytest.mark.parametrize("name", ["job_timeout", "result_ttl", "failure_ttl"])
@pytest.mark.parametrize("minus_one", [-1, -1.0, "-1"])
def test_minus_one_means_no_limit(name: str, minus_one: Any) -> None:
    options = check_options({name: minus_one})

    assert getattr(options, name.removeprefix("job_")) == UNLIMITED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttl", -1), ("ttl", 0), ("job_timeout", 0), ("failure_ttl", 0), ("result_ttl", -2),
        ("job_timeout", "soon"), ("ttl", True), ("result_ttl", False), ("failure_ttl", float("nan")),
        ("priority", 101), ("priority", -101), ("priority", 1.0), ("priority", True), ("priority", "1"),
        ("priority", 10**5000), ("at_front", 1), ("at_front", None), ("description", 5), ("retry", 0),
        ("retry", -1), ("retry", True), ("retry", 1.5), ("retry", "3"), ("retry", 10**5000),
    ],
    ids=map(str, range(24)),
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=r"Retry|retry" if name == "retry" else name):
        check_options({name: value})


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_priorities_go_from_minus_100_to_100(priority: int) -> None:
    assert check_options({"priority": priority}).priority == priority


def test_a_result_ttl_of_zero_means_not_at_all() -> None:
    assert check_options({"result_ttl": 0}).result_ttl == 0


def test_the_timeout_of_the_queue_counts_where_the_job_has_none() -> None:
    assert check_options({}, 5000).timeout == 5000
    assert check_options({"ttl": 1}, 5000).timeout == 5000
    assert check_options({"job_timeout": 1}, 5000).timeout == 1000
    assert check_options({"job_timeout": -1}, 5000).timeout == UNLIMITED


def test_a_long_description_is_cut() -> None:
    assert check_options({"description": "x" * 5000}).description == "x" * 1000


def test_a_number_of_retries_is_a_retry() -> None:
    assert check_options({"retry": 3}).retry == Retry(max=3).encode()


def test_a_queues_timeout_is_checked_too() -> None:
    assert (check_timeout(None), check_timeout(-1), check_timeout("1m")) == (None, UNLIMITED, 60_000)
    with pytest.raises(SettingsError, match="default_timeout"):
        check_timeout(0)


@pytest.mark.parametrize(("ms", "shown"), [(-1, -1), (1000, 1), (1500, 1.5), (0, 0)])
def test_limits_are_shown_in_seconds(ms: int, shown: float) -> None:
    assert show_limit(ms) == shown


# -- Retry


@pytest.mark.parametrize(
    "bad",
    [
        {"max": 0}, {"max": -1}, {"max": True}, {"max": "3"}, {"max": 1.0}, {"max": 10**7},
        {"max": 10**5000}, {"max": 1, "interval": -1}, {"max": 1, "interval": []},
        {"max": 1, "interval": [1, "soon"]}, {"max": 1, "interval": [1] * 1001},
        {"max": 1, "backoff": 0.5}, {"max": 1, "backoff": 1001}, {"max": 1, "backoff": float("nan")},
        {"max": 1, "jitter": -0.1}, {"max": 1, "jitter": 1.1}, {"max": 1, "jitter": float("nan")},
        {"max": 1, "max_interval": 0}, {"max": 1, "on": (int,)}, {"max": 1, "on": ("",)},
        {"max": 1, "not_on": (5,)}, {"max": 1, "interval": None}, {"max": 1, "backoff": "2"},
    ],
    ids=[str(number) for number in range(23)],
)  # fmt: skip
def test_a_retry_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"Retry|interval"):
        Retry(**bad)


def test_a_policy_reads_what_a_retry_writes() -> None:
    read = policy(max=3, interval=[10, "1m"], backoff=2, jitter=0.5, on=(ValueError,), not_on=("KeyError",))

    assert (read.max, read.waits, read.backoff, read.jitter) == (3, (10_000, 60_000), 2, 0.5)
    assert (read.on, read.not_on, read.longest) == (("ValueError",), ("KeyError",), DAY)


def test_a_retry_without_an_interval_runs_at_once() -> None:
    assert [policy(max=3).delay_ms(failures) for failures in (1, 2, 3)] == [0, 0, 0]


def test_a_shorter_list_of_intervals_repeats_its_last_entry() -> None:
    read = policy(max=5, interval=[10, 30])

    assert [read.delay_ms(failures) for failures in (1, 2, 3, 4)] == [10_000, 30_000, 30_000, 30_000]


def test_backoff_multiplies_and_stops_at_the_longest_wait() -> None:
    read = policy(max=10**6, interval=1, backoff=2, max_interval="10s")

    assert [read.delay_ms(failures) for failures in (1, 2, 3, 4, 5, 10**6)] == [
        1000,
        2000,
        4000,
        8000,
        10_000,
        10_000,
    ]


def test_the_largest_backoff_overflows_nothing() -> None:
    assert policy(max=10**6, interval="1000w", backoff=1000, max_interval="1d").delay_ms(10**6) == DAY


@pytest.mark.parametrize("jitter", [0.1, 0.5, 1])
def test_jitter_varies_a_wait_by_no_more_than_its_share(jitter: float) -> None:
    read = policy(max=1, interval=100, jitter=jitter)
    waits = [read.delay_ms(1) for _ in range(300)]

    assert min(waits) >= 100_000 * (1 - jitter) - 1
    assert max(waits) <= 100_000 * (1 + jitter) + 1
    assert len(set(waits)) > 100


def test_an_interval_of_more_than_a_day_is_kept() -> None:
    assert policy(max=1, interval="2d").delay_ms(1) == 2 * DAY
    assert policy(max=9, interval="2d", backoff=2).delay_ms(5) == 2 * DAY
    assert policy(max=1, interval="2d", max_interval="1h").delay_ms(1) == 3_600_000


def test_without_a_wait_backoff_multiplies_nothing() -> None:
    assert policy(max=10**6, backoff=1000).delay_ms(10**6) == 0


def test_jitter_does_not_go_past_the_longest_wait() -> None:
    read = policy(max=1, interval=100, jitter=1, max_interval=100)

    assert max(read.delay_ms(1) for _ in range(100)) <= 100_000


class Local(ValueError):
    pass


def test_a_policy_covers_everything_unless_told_otherwise() -> None:
    assert policy(max=1).covers(ValueError)
    assert policy(max=1).covers(Local)


@pytest.mark.parametrize(
    "on",
    [(ValueError,), ("ValueError",), (Local,), ("Local",), (f"{__name__}.Local",), (KeyError, "Exception")],
    ids=map(str, range(6)),
)
def test_on_covers_the_classes_named_and_those_below(on: Any) -> None:
    assert policy(max=1, on=on).covers(Local)
    assert not policy(max=1, on=(KeyError,)).covers(Local)


def test_not_on_wins_over_on() -> None:
    read = policy(max=1, on=(ValueError,), not_on=(Local,))

    assert (read.covers(ValueError), read.covers(Local), read.covers(KeyError)) == (True, False, False)


def test_classes_need_not_stand_in_a_tuple() -> None:
    assert not policy(max=1, not_on=Local).covers(Local)
    assert policy(max=1, on=[Local]).covers(Local)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ('"waits": [1e300], "longest": 1e308', LONGEST_MS),
        ('"waits": [5], "longest": Infinity, "jitter": 1e300, "backoff": Infinity', None),
        ('"waits": [5], "longest": -1e300', 0),
        ('"waits": [-5]', 0),
    ],
)
def test_no_policy_that_others_wrote_waits_longer_than_there_is_time(
    policy: str, expected: int | None
) -> None:
    found = RetryPolicy.decode(f'{{"max": 3, {policy}}}'.encode()).delay_ms(2)

    assert 0 <= found <= LONGEST_MS
    assert expected in (None, found)
