"""T84, T94: many who wait for jobs, while what tells them of the ends is away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aqueue import Job, Queue
from tests.api.admin import admin
from tests.api.proxy import Proxy, Way
from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import quiet

#: Seconds from the end of a job until its waiters know: a re-read, and this machine's own delay.
TOLD = 2.0 + 1.5


@scenario(
    "T84",
    "many wait while the subscribing connection is killed again and again, or may not subscribe",
    quick={"waiters": 60, "seconds": 3},
    full={"waiters": 1000, "seconds": 40},
    parts=3,
)
async def without_pubsub(stage: Stage) -> None:
    await stage.fleet.spawn(lease=20, concurrency=100).serving()
    if stage.dice.random() < 0.3:
        with admin(stage.server) as db:
            db.execute_command("ACL", "SETUSER", "default", "-subscribe")
    killing = asyncio.create_task(_kill_subscribers(stage))
    with quiet():
        lengths = [stage.dice.uniform(0, stage.number("seconds")) for _ in range(stage.number("waiters"))]
        naps = [Queue.prepare_data(jobs.nap, (length,)) for length in lengths]
        made = await stage.queue.enqueue_many(naps)
        stage.acked += [job.id for job in made]
        late = await asyncio.gather(*(_wait(job) for job in made))
    killing.cancel()
    stage.seen.add("waiters", len(made))
    assert max(late) <= TOLD + stage.stalls.longest, f"told {max(late):.1f} s after the end"


async def _kill_subscribers(stage: Stage) -> None:
    with admin(stage.server) as db:
        while True:
            stage.seen.add("connections_killed", db.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))
            await asyncio.sleep(stage.dice.uniform(0.05, 0.3))


async def _wait(job: Job[Any]) -> float:
    """Seconds after its end."""
    await job.wait(120)
    now = time.time()
    await job.refresh()
    assert job.ended_at is not None
    return now - job.ended_at.timestamp()


@scenario(
    "T94",
    "a subscriber does not read what it is sent",
    quick={"megabytes": 40},
    full={"megabytes": 400},
    parts=2,
)
async def slow_subscriber(stage: Stage) -> None:
    """Redis drops it and keeps little for it; it comes back, and who waits is told."""
    await stage.fleet.spawn(lease=20).serving()
    with admin(stage.server) as db, quiet():
        db.config_set("client-output-buffer-limit", "pubsub 4mb 2mb 5")
        async with Proxy(stage.server.url) as proxy, Queue("default", proxy.url, namespace="chaos") as far:
            door = str(stage.folder / "door")
            job = await far.enqueue(jobs.wait_at, door)
            stage.acked.append(job.id)
            waiting = asyncio.create_task(job.wait(60))
            await asyncio.sleep(0.5)
            before = db.info("memory")["used_memory"]
            proxy.replies.is_silent = True
            proxy.replies = Way()
            channel = stage.queue.space.keys.done_channel(job.id)
            for _ in range(stage.number("megabytes")):
                db.publish(channel, b"x" * (1 << 20))
            await asyncio.sleep(0.5)
            grown = db.info("memory")["used_memory"] - before
            stage.seen.add("megabytes", stage.number("megabytes"))
            assert grown < 16 << 20, f"Redis holds {grown:,} bytes more"
            [start] = stage.ledger.starts_of(job.id)
            jobs.open_door(door, start.pid)
            assert await waiting == start.pid
    await stage.all_ended()
