"""Fields, types and scores of live jobs, changed at random beside a worker."""

from __future__ import annotations

import random

import pytest

from tests.doctor.fuzzing import fuzz
from tests.doctor.planting import Ground


@pytest.mark.parametrize("seed", range(4))
async def test_a_worker_bears_what_is_done_to_records_and_a_repair_mends_it(
    ground: Ground, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    done = await fuzz(ground, random.Random(seed), 50)

    assert done >= 200
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []  # no script failed
