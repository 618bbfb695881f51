"""pause, resume and drop: what is done to whole queues."""

from __future__ import annotations

import pytest

from aqueue._redis import operations
from tests.transitions.stage import REGISTRIES, Stage


async def test_a_paused_queue_says_so_and_has_no_wake_tokens(stage: Stage) -> None:
    await stage.add("a")
    await stage.pause()

    assert (stage.meta("paused"), stage.tokens(), stage.where("a")) == ("1", 0, ["queue"])


async def test_pausing_a_queue_that_has_no_jobs_yet_makes_it_known(stage: Stage) -> None:
    await stage.pause(queue="empty")

    assert stage.db.smembers(stage.keys.queues) == {b"empty"}
    await stage.add("a", queue="empty")
    assert await stage.claim("empty") == []


async def test_resuming_serves_the_queue_and_wakes_one_worker(stage: Stage) -> None:
    await stage.add("a")
    await stage.pause()
    await stage.pause(paused=False)
    await stage.pause(paused=False)

    assert (stage.meta("paused"), stage.tokens()) == (None, 1)
    assert [lease.job_id for lease in await stage.claim()] == ["a"]


async def test_pausing_changes_no_other_queue(stage: Stage) -> None:
    await stage.add("a", queue="other")
    await stage.pause()

    assert (stage.tokens("other"), len(await stage.claim("other"))) == (1, 1)


async def test_running_jobs_of_a_paused_queue_go_on(stage: Stage) -> None:
    lease = await stage.start("a")
    await stage.pause()

    assert (await stage.extend(lease)).lost == []


async def _drop(stage: Stage) -> bool:
    return await stage.space.client.run(operations.drop(stage.keys, "default"))


async def test_a_queue_of_which_nothing_is_left_is_forgotten(stage: Stage) -> None:
    await stage.add("a", ttl=1000)
    await stage.delete("a")
    await stage.pause()

    assert await _drop(stage)
    assert stage.digest("reply:*") == {}


@pytest.mark.parametrize("registry", REGISTRIES)
async def test_a_queue_that_still_lists_jobs_is_kept(stage: Stage, registry: str) -> None:
    await stage.add("a")
    await stage.delete("a")
    stage.db.zadd(stage.keys.registry(registry, "default"), {"x": 1})
    before = stage.digest()

    assert not await _drop(stage)
    assert stage.digest() == before
