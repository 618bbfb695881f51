"""Take guards away and see what notices: the tests of the scripts concerned, then the model.

It runs in pytest sessions that collect the tests once and call them again for every mutant. What has caught
the mutants of a line before stands in `caught.json` and goes first; `python -m tests.transitions.mutant_run`
writes that file anew. An entry that is missing or out of date costs time only.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from _pytest.runner import runtestprotocol

from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from tests.servers import Server
from tests.transitions import lua_source as lua
from tests.transitions.mutants import Mutant, Workshop, mutants
from tests.transitions.test_model import run_model

FOLDER = Path(__file__).parent
#: Where the tests are.
FOLDERS = (FOLDER, FOLDER.parent / "doctor")
CAUGHT = FOLDER / "caught.json"
#: In place of a test's name.
MODEL = "the model"
#: Processes that share the mutants of the engine's scripts, and one more for those of the repair alone.
SHARES = 2
#: Of a script: the tests made for it, where that is not the file of its name alone.
OWN = {
    "enqueue": ["test_enqueue", "test_order"],
    "claim": ["test_claim", "test_order"],
    "settle": ["test_settle", "test_order", "test_damaged_fields"],
    "recover": ["test_recover", "test_order", "test_damaged_fields"],
    "promote": ["test_promote", "test_damaged_fields"],
    "cancel": ["test_cancel", "test_damaged_fields"],
    "requeue": ["test_requeue", "test_order"],
    "pause": ["test_queues"],
    "drop": ["test_queues"],
    "leave": ["test_extend"],
    "count": ["test_reads"],
    "list": ["test_reads"],
    "position": ["test_reads"],
    **{name: ["test_damage", "test_mending"] for name in lua.MENDING},
}
#: Tests that walk all scripts.
SHARED = [
    "test_foreign_types", "test_permissions", "test_replay", "test_table", "test_refusals",
    "test_damaged_counters",
]  # fmt: skip
#: Words in the names of shared tests that concern a script, where that is not its name alone.
WORDS = {
    "settle": "finish fail retry release stop settle",
    "cancel": "cancel quarantine stop ask",
    "prune": "prune expire",
    "pause": "pause resume",
    "enqueue": "enqueue save",
    "count": "count reads",
    "list": "list reads",
    "position": "position reads",
}


class MutantRun:
    """A pytest plugin in place of the usual loop over the tests."""

    def __init__(self, share: list[Mutant], report: Path) -> None:
        self.share = share
        self.report = report
        self.known: dict[str, list[str]] = json.loads(CAUGHT.read_text()) if CAUGHT.exists() else {}
        #: Test -> when it last caught a mutant, and how long it last took.
        self.last: dict[str, int] = {}
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        """Only whether it failed: to say how takes a hundred times as long."""
        outcome: Literal["passed", "failed"] = "passed" if call.excinfo is None else "failed"
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, "call")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        binary = os.environ.get("AQUEUE_TEST_SERVER")
        with (
            tempfile.TemporaryDirectory() as folder,
            Server("--maxmemory-policy", "noeviction", aof=False, binary=binary) as server,
        ):
            workshop = Workshop(Path(folder))
            caught: dict[str, str | None] = {}
            for number, mutant in enumerate(self.share):
                workshop.change(mutant)
                by_test = self._by_tests(session, mutant, number, workshop)
                caught[str(mutant)] = by_test or _by_model(mutant, server)
                workshop.restore(mutant)
            self.report.write_text(json.dumps(caught))
        return True

    def _by_tests(
        self, session: pytest.Session, mutant: Mutant, number: int, workshop: Workshop
    ) -> str | None:
        for item in self._in_order(session, mutant):
            began = time.monotonic()
            failed = _fails(item, session.items)
            self.seconds[_name(item)] = time.monotonic() - began
            if failed:
                workshop.restore(mutant)
                if not _fails(item, session.items):  # else it says nothing about the mutant
                    self.last[_name(item)] = number
                    return _name(item)
                workshop.change(mutant)
        return None

    def _in_order(self, session: pytest.Session, mutant: Mutant) -> list[pytest.Item]:
        """The tests concerned: first what has caught mutants of this line, then of lines before it."""
        is_read = re.match(r"\s*(typed|redis\.call)\(", mutant.before) is not None

        def order(item: pytest.Item) -> tuple[bool, bool, int, float]:
            name = _name(item)
            is_known = name in self.known.get(mutant.place, ())
            is_meant = is_read == (item.path.stem == "test_foreign_types")
            return not is_known, not is_meant, -self.last.get(name, -1), self.seconds.get(name, 0)

        concerned = [item for item in session.items if any(_concerns(item, name) for name in mutant.scripts)]
        return sorted(concerned, key=order)


def _fails(item: pytest.Item, items: list[pytest.Item]) -> bool:
    """Whether this test fails; the server that it shares with all others is kept for the next one."""
    other = items[0] if items[0].path != item.path else items[-1]
    return any(report.failed for report in runtestprotocol(item, nextitem=other, log=False))


def _by_model(mutant: Mutant, server: Server) -> str | None:
    if _is_mending(mutant):
        return None  # it plays none of these
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            run_model(SyncClient(from_url(server.url)), server, runs=40, steps=50, shrink=False)
    except Exception:
        return MODEL
    return None


def _is_mending(mutant: Mutant) -> bool:
    return all(name in lua.MENDING for name in mutant.scripts)


def _name(item: pytest.Item) -> str:
    return item.nodeid.rpartition("/")[2]


def _concerns(item: pytest.Item, script: str) -> bool:
    if item.path.stem in SHARED:
        return any(word in item.name for word in WORDS.get(script, script).split())
    return item.path.stem in OWN.get(script, [f"test_{script}"])


def _share(number: int) -> list[Mutant]:
    """Whole files, so that what caught one mutant is tried on its neighbours."""
    mending = [mutant for mutant in mutants() if _is_mending(mutant)]
    if number == SHARES:
        return mending
    by_file: dict[str, list[Mutant]] = {}
    for mutant in mutants():
        if not _is_mending(mutant):
            by_file.setdefault(mutant.file, []).append(mutant)
    shares: list[list[Mutant]] = [[] for _ in range(SHARES)]
    for found in sorted(by_file.values(), key=len, reverse=True):
        min(shares, key=len).extend(found)
    return shares[number]


def run_share(number: int, report: Path) -> None:
    files = {name for names in OWN.values() for name in names} | {*SHARED}
    files |= {f"test_{name}" for name in ("amend", "delete", "extend", "prune")}
    found = [path for folder in FOLDERS for path in sorted(folder.glob("test_*.py"))]
    paths = [str(path) for path in found if path.stem in files]
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-W", "ignore", "--assert=plain"]
    pytest.main([*paths, *options], plugins=[MutantRun(_share(number), report)])


def run_all() -> dict[str, str | None]:
    """Every mutant -> the test that caught it, or None."""
    with tempfile.TemporaryDirectory() as folder:
        reports = [Path(folder) / str(number) for number in range(SHARES + 1)]
        command = [sys.executable, "-m", "tests.transitions.mutant_run"]
        started = [
            subprocess.Popen(
                [*command, str(number), str(report)], cwd=FOLDER.parents[1], stdout=subprocess.PIPE
            )
            for number, report in enumerate(reports)
        ]
        said = [process.communicate()[0].decode() for process in started]
        assert all(report.exists() for report in reports), "\n".join(said)
        caught: dict[str, Any] = {}
        for report in reports:
            caught |= json.loads(report.read_text())
        return caught


def main() -> None:
    if len(sys.argv) > 1:
        run_share(int(sys.argv[1]), Path(sys.argv[2]))
        return
    caught = run_all()
    known: dict[str, list[str]] = {}
    for mutant in mutants():
        by = caught[str(mutant)]
        if by is not None and by != MODEL and by not in known.setdefault(mutant.place, []):
            known[mutant.place].append(by)
    lines = [f"{json.dumps(place)}: {json.dumps(tests)}" for place, tests in known.items() if tests]
    CAUGHT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
