"""Each guard of the scripts is needed: taken away, a directed test or the model goes red."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aqueue._redis.scripts import load
from tests.transitions import lua_source as lua
from tests.transitions.mutant_run import run_all
from tests.transitions.mutants import NO_GUARD, Workshop, all_mutants, mutants
from tests.transitions.stage import Stage


def test_every_condition_and_every_read_before_a_write_is_taken_away() -> None:
    changed = {(mutant.file, mutant.line) for mutant in all_mutants()}

    for name in lua.FILES:
        for number, line in enumerate(lua.code(lua.source(name)).splitlines(), 1):
            if re.match(r"\s*(if|elseif) |typed\(", line):
                assert (name, number) in changed, line


def test_a_mutant_has_one_name_and_differs_from_its_source_in_one_line() -> None:
    names = [str(mutant) for mutant in all_mutants()]
    assert len(names) == len({*names})

    for mutant in all_mutants():
        pairs = zip(lua.source(mutant.file).splitlines(), mutant.text.splitlines(), strict=True)
        assert [number for number, pair in enumerate(pairs, 1) if len({*pair}) == 2] == [mutant.line]
        assert mutant.scripts


def test_what_is_no_guard_is_still_there() -> None:
    for file, part in NO_GUARD:
        assert any(mutant.file == file and part in str(mutant) for mutant in all_mutants()), (file, part)


async def test_mutants_are_not_caught_because_they_do_not_compile(stage: Stage, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path)
    for mutant in all_mutants():
        workshop.write(mutant, mutant.text)
        for name in mutant.scripts:
            stage.db.script_load(load(name, tmp_path).text)
        workshop.write(mutant, lua.source(mutant.file))


@pytest.mark.mutants
@pytest.mark.timeout(1800)
def test_guards_that_are_taken_away_are_missed() -> None:
    caught = run_all()
    survivors = [name for name, by in caught.items() if by is None]
    print(f"{len(survivors)} of {len(caught)} mutants survived", *survivors, sep="\n")

    assert len(caught) == len(mutants())
    assert len(survivors) * 20 <= len(caught)
