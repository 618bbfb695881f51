"""docs/workers.md: the store that compares fencing tokens refuses an execution that has lost its job."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aqueue import Job, LeaseLost, Queue
from aqueue.current import current_job
from tests.worker.hands import burst

PAGE = Path(__file__).parents[2] / "docs/workers.md"


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The sample as a module; the path of its database."""
    [sample] = re.findall(r"```python\n# books.py\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "books.py").write_text(sample)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path / "books.db"
    sys.modules.pop("books", None)


def totals(path: Path) -> list[tuple[int, int]]:
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT total, token FROM totals").fetchall()
    finally:
        db.close()


async def test_a_late_execution_is_refused_by_the_store(queue: Queue, books: Path) -> None:
    job = await queue.enqueue("books.add_up", str(books), [1, 2])
    await burst(queue)
    assert totals(books) == [(3, 1)]
    await job.requeue()
    await burst(queue)
    assert totals(books) == [(3, 2)]

    late = await Job.fetch(job.id)
    late._token = "an earlier worker:7:1"
    reset = current_job.set(late)
    try:
        with pytest.raises(LeaseLost):
            late.func(str(books), [100])
    finally:
        current_job.reset(reset)
    assert totals(books) == [(3, 2)]
