"""Every scenario at its quick scale."""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.catalogue import CATALOGUE
from tests.chaos.performing import perform
from tests.chaos.scenarios import SCENARIOS

pytestmark = pytest.mark.slow


@pytest.mark.timeout(120)
@pytest.mark.parametrize("id", sorted(SCENARIOS))
async def test_the_invariants_hold_in(id: str) -> None:
    seed = int(os.environ.get("AQUEUE_TEST_SEED") or random.SystemRandom().randrange(10**9))
    result = await perform(SCENARIOS[id], "quick", seed)

    again = f"again: python -m tests.chaos run --scale quick --only {id} --seed {seed}"
    assert result.failure is None, f"{result.traceback}\n{again}"
    print(dict(result.seen.counts), again)


def test_every_scenario_is_in_the_catalogue() -> None:
    assert SCENARIOS.keys() <= CATALOGUE.keys()
