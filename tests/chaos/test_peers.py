"""The trials of other queues work, on aqueue; and their table."""

from __future__ import annotations

import sys

import pytest

from tests.chaos.peers.book import Row, table
from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.trial import Trial


@pytest.mark.slow
async def test_aqueue_loses_and_doubles_nothing_where_replies_are_lost() -> None:
    async with Trial("aqueue", sys.executable, patience=30) as trial:
        assert await FAULTS["T40"].run(trial) == "0 lost, 0 twice, 0 enqueues raised of 151"


def test_the_table_shows_the_last_run_of_each() -> None:
    rows = [
        Row("T01", "saq", "saq 1.0", "9 lost", "2026-11-01"),
        Row("T01", "saq", "saq 1.1", "1 lost | 2 twice", "2026-11-02"),
        Row("T01", "aqueue", "aqueue 1", "0 lost", "2026-11-02"),
    ]

    assert table(rows).splitlines() == [
        "| | aqueue | saq |",
        "|---|---|---|",
        "| T01: a worker is killed six times | 0 lost | 1 lost / 2 twice |",
        "",
        "aqueue 1, saq 1.1; 2026-11-02.",
    ]
    assert table([]) == ""
