"""The page of results says what the book says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.book import Book
from tests.chaos.page import PAGE, render, runs, totals
from tests.chaos.performing import Result
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.seen import Seen


@pytest.mark.slow  # whoever adds a scenario writes the page when it is finished
def test_the_page_shows_what_is_in_the_book() -> None:
    page = PAGE.read_text("utf-8")

    assert render(page, Book().rows, SCENARIOS) == page, "python -m tests.chaos page"


def test_a_book_that_is_read_again_knows_what_was_done_and_what_failed(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    book = Book(path)
    row = book.row("T01", 7, 3)
    row.note(0, Result(Seen({"jobs": 5}.items(), {"0.20": 1, "0.40": 1}.items()), 1.0, None))
    row.note(
        1, Result(Seen({"jobs": 5, "lost": 1}.items(), {"0.40": 2}.items()), 1.0, "AssertionError: lost")
    )
    book.write()

    [row] = Book(path).rows
    assert (row.done, row.failed) == ({0, 1}, {1: "AssertionError: lost"})
    assert row.seen.counts == {"jobs": 10, "lost": 1}
    assert (row.seen.percentile(0.25), row.seen.percentile(0.99)) == (0.2, 0.4)
    assert "| jobs lost | 1 | 0 |" in totals([row])
    assert "--only T01 --seed 7 --part 1" in runs([row])


def test_a_part_that_is_run_again_is_judged_by_its_last_run(tmp_path: Path) -> None:
    row = Book(tmp_path / "book.jsonl").row("T01", 7, 3)
    row.note(1, Result(Seen(), 1.0, "AssertionError"))
    row.note(1, Result(Seen(), 1.0, None))

    assert (row.done, row.failed) == ({1}, {})
