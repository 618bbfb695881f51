"""The benchmark itself: it runs, and judges as its table of targets says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.figures import FIGURES
from tests.benchmarks.report import ROWS, verdicts
from tests.benchmarks.targets import TARGETS, Target, judge

RESULTS = {
    ("aqueue", "drain_100"): [{"rate": 900.0}, {"rate": 1_000.0}, {"rate": 5_000.0}],
    ("saq", "drain_100"): [{"rate": 100.0}],
    ("docket", "drain_100"): [{"rate": 200.0}],
    ("aqueue", "latency"): [{"p50": 1.0}],
    ("saq", "latency"): [{"p50": 4.0}],
    ("docket", "latency"): [{"p50": 2.0}],
}


def test_it_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--figures", "startup"]
    done = subprocess.run(
        [*command, "--peers", "aqueue,floor", "--json", str(tmp_path / "kept.json")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "| start-up to the first job, s |" in done.stdout
    results = json.loads((tmp_path / "kept.json").read_text())["results"]
    assert all(numbers for row in results for numbers in row["reps"]), done.stderr
    assert [(row["peer"], row["figure"]) for row in results] == [("aqueue", "startup"), ("floor", "startup")]


@pytest.mark.parametrize(("limit", "is_met"), [(5, True), (6, False)], ids=["just reached", "just missed"])
def test_a_rate_is_compared_with_that_of_the_fastest(limit: float, is_met: bool) -> None:
    verdict = judge(Target("drain", "drain_100", "rate", limit, ("saq", "docket", "rq")), RESULTS)

    assert (verdict.value, verdict.than, verdict.is_met) == (5, "docket", is_met)


def test_a_time_is_compared_with_that_of_the_quickest() -> None:
    target = Target("latency", "latency", "p50", 0.4, ("saq", "docket"), is_most=True)
    verdict = judge(target, RESULTS)

    assert (verdict.value, verdict.than, verdict.is_met) == (0.5, "docket", False)


def test_what_was_not_measured_is_not_judged() -> None:
    assert judge(Target("drain", "drain_100", "rate", 1, ("rq",)), RESULTS).value is None
    assert "fetch_many" not in verdicts(RESULTS)


def test_every_row_and_target_names_a_figure() -> None:
    named = {figure for _, figure, _ in ROWS} | {target.figure for target in TARGETS}
    named |= {target.than_figure for target in TARGETS} - {""}

    assert named == FIGURES.keys()
