"""T67, T75: what others do to the data, and `aqueue doctor --repair` after them."""

from __future__ import annotations

from aqueue.cli.doctor.data import NEEDED
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import quiet, without_aof
from tests.doctor.fuzzing import fuzz
from tests.doctor.planting import PLANTS, Ground
from tests.servers import smallest

#: What the rows count.
MUTATIONS, PLANTED = "mutations", "planted"


def prepared(stage: Stage) -> Ground:
    """With a user who may look through the data and mend it."""
    ground = Ground(stage.queue, stage.server)
    ground.url = stage.server.user("doctor", *smallest(ground.space.keys.namespace), *NEEDED.split())
    return ground


@scenario(
    "T67", "Fields, types and scores of live jobs are changed at random beside a worker; then all is mended",
    checks="", quick={"jobs": 100}, full={"jobs": 1_000}, parts=5, server=without_aof,
)  # fmt: skip
async def fuzzed(stage: Stage) -> None:
    ground = prepared(stage)
    with quiet():
        for done in range(0, stage.number("jobs"), 50):
            ground.stage.db.flushall()
            stage.seen.add(MUTATIONS, await fuzz(ground, stage.dice, min(50, stage.number("jobs") - done)))


@scenario(
    "T75", "Damage of each kind is planted, found, mended, and gone; what was saved is run",
    checks="", quick={"plants": 30}, full={"plants": len(PLANTS)}, parts=2, server=without_aof,
)  # fmt: skip
async def planted(stage: Stage) -> None:
    ground = prepared(stage)
    with quiet():
        for plant in stage.dice.sample(PLANTS, stage.number("plants")):
            ground.stage.db.flushall()
            await ground.mend(plant)
            stage.seen.add(PLANTED)
