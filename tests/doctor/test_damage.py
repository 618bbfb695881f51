"""Each kind of damage: found by a dry run that changes nothing, mended, and gone; what was saved is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aqueue.cli.doctor.data import NEEDED
from aqueue.damage import KINDS
from aqueue.mending import examine
from tests.doctor.planting import PLANTS, Ground, Plant
from tests.transitions import lua_source as lua

each_plant = pytest.mark.parametrize("plant", PLANTS, ids=str)


def test_every_kind_is_planted() -> None:
    assert {plant.kind for plant in PLANTS} == set(KINDS)
    assert len(KINDS) >= 30


def test_the_scripts_know_these_kinds_and_no_others() -> None:
    text = "".join(path.read_text() for path in lua.FOLDER.rglob("*.lua"))
    used = set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', text)) & set(KINDS) | {
        "number",
        "dangling",
        "misfiled",
        "counter",
        "clock",
    }
    dynamic = {
        f"{what}_{label}"
        for what in ("score", "unfiled")
        for label in ("queued", "started", "scheduled", "deferred", "ended")
    }

    assert used | dynamic == set(KINDS)


@each_plant
async def test_damage_is_found_mended_and_gone(ground: Ground, plant: Plant) -> None:
    await ground.mend(plant)


async def test_a_job_that_is_failed_counts_its_leases_on(ground: Ground) -> None:
    await ground.stage.start("fenced", queue="other")
    ground.stage.db.hset(ground.stage.keys.job("fenced"), "status", "nonsense")

    await examine(repair=True)

    assert (ground.stage.status("fenced"), ground.stage.job("fenced").fence) == ("failed", 1)


def test_the_page_lists_the_kinds() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "doctor.md").read_text("utf-8")
    rows = [f"| `{name}` | {kind.found} | {kind.why} | {kind.mending} |" for name, kind in KINDS.items()]

    assert "\n" + "\n".join(rows) + "\n" in page
    assert f"`{NEEDED}`" in page
