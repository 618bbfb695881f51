"""T64, T68, T73: calls that are cancelled, any arguments, and jobs that end in any way."""

from __future__ import annotations

import asyncio
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
from hypothesis import strategies as st

from aqueue import AqueueError, Queue, Retry
from aqueue.sync import Queue as SyncQueue
from tests.api import jobs as api_jobs
from tests.api.admin import admin, clients_of
from tests.api.test_cancelling import calls, cut, is_steady
from tests.chaos import jobs
from tests.chaos.scenario import Stage, scenario
from tests.chaos.scenarios.model import without_aof
from tests.chaos.seen import STARVED
from tests.support import wait_until
from tests.tasks import add

# -- T64


@scenario(
    "T64",
    "every public coroutine is cancelled at any moment",
    checks="",
    quick={"cancels": 500},
    full={"cancels": 10_000},
    parts=2,
    server=without_aof,
)
async def cancelled(stage: Stage) -> None:
    """One at a time and several together; what is called next gets its own reply."""
    async with Queue(connection=stage.server.url) as queue:
        await queue.enqueue(api_jobs.nothing, job_id="steady", meta={"steady": True})
        every = list(calls(queue, stage.server.url).values())
        left = stage.number("cancels")
        while left > 0:
            some = stage.dice.choices(every, k=stage.dice.choice([1, 1, 1, 20]))
            await asyncio.gather(*(cut(call, stage.dice.randrange(61)) for call in some))
            stage.seen.add("cancels", len(some))
            left -= len(some)
            assert await is_steady(queue, stage.server.url)
        await wait_until(lambda: len(clients_of(stage.server)) <= 4, description="no connection is left")


# -- T68

texts = st.text(max_size=20) | st.sampled_from(["", "3m", "-1", "1h30m", "0s", "9" * 50, "nan", "1e9h"])
sizes = st.sampled_from([0, -1, 1, 2**31, 2**53, 2**63, 2**64, math.inf, math.nan])
times = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.sampled_from([datetime.min, datetime.max, datetime.max.replace(tzinfo=UTC)]),
)
lengths = st.timedeltas() | st.just(timedelta.max)
others = st.one_of(
    st.none(),
    st.booleans(),
    st.binary(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(object()),
)
anything = st.one_of(texts, st.integers(), st.floats(), sizes, times, lengths, others)
OPTIONS = [
    "job_id", "job_timeout", "ttl", "result_ttl", "failure_ttl", "priority", "at_front", "description",
    "meta", "retry",
]  # fmt: skip
given_options = st.dictionaries(st.sampled_from(OPTIONS), anything, max_size=2)
ways = st.sampled_from(["enqueue", "in", "at", "name"])
CHECKS = [hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much]
#: What a caller may be told.
REFUSALS = (ValueError, TypeError, AqueueError)


@scenario(
    "T68",
    "arguments of any kind for the public interface",
    checks="",
    quick={"examples": 300},
    full={"examples": 10_000},
    parts=5,
    server=without_aof,
)
async def any_arguments(stage: Stage) -> None:
    """Refused with an error that says so and nothing made, or a whole job."""
    await asyncio.to_thread(_try_all, stage)


def _try_all(stage: Stage) -> None:
    queue = SyncQueue("default", stage.server.url, namespace="chaos")
    with admin(stage.server) as db:

        @hypothesis.seed(stage.dice.randrange(10**9))
        @hypothesis.settings(max_examples=stage.number("examples"), deadline=None, database=None,
            suppress_health_check=CHECKS)  # fmt: skip
        @hypothesis.given(
            way=st.sampled_from(["enqueue", "in", "at", "name"]), first=anything, options=given_options
        )
        def attempt(way: str, first: Any, options: dict[str, Any]) -> None:
            stage.seen.add("examples")
            try:
                job = _enqueue(queue, way, first, options)
            except REFUSALS as error:
                told = str(error)
            else:
                assert queue.fetch_job(job.id) is not None
                db.flushall()
                return
            assert told
            assert db.dbsize() == 0, f"refused, but {db.keys('*')}"
            stage.seen.add("refused")

        attempt()


def _enqueue(given: SyncQueue, way: str, first: Any, options: dict[str, Any]) -> Any:
    queue: Any = given
    match way:
        case "in":
            return queue.enqueue_in(first, add, 1, 2, **options)
        case "at":
            return queue.enqueue_at(first, add, 1, 2, **options)
        case "name":
            return queue.enqueue(first, 1, 2, **options)
        case _:
            return queue.enqueue(add, first, 2, **options)


# -- T73


@scenario(
    "T73",
    "retries, timeouts, losses and releases together: the counters",
    quick={"plans": 3, "steps": 2},
    full={"plans": 30, "steps": 5},
    parts=4,
)
async def every_end(stage: Stage) -> None:
    """Each job goes through a plan of its own, one end after the other; each is counted once, apart."""
    plans: dict[str, str] = {}
    for _ in range(stage.number("plans")):
        plan = _plan(stage.dice, stage.number("steps"))
        again = plan.count("r") + plan.count("t")
        retries = Retry(max=again) if again else None
        job = await stage.enqueue(jobs.follow, plan, retry=retries, job_timeout=4)
        plans[job.id] = plan
    asked: set[int] = set()
    while stage.checker.ended() < len(plans):
        while len(stage.fleet.alive) < 2:
            await stage.fleet.spawn(concurrency=1, grace=0, lease=2).serving()
        starts = stage.ledger.starts()
        for worker in stage.fleet.alive:
            running = [entry for entry in stage.ledger.entries() if entry.pid == worker.pid]
            if running and running[-1].event == "start" and worker.pid not in asked:
                job_id = running[-1].job_id
                if plans[job_id][starts[job_id] - 1] == "g":
                    worker.terminate()
                    asked.add(worker.pid)
        await asyncio.sleep(0.05)
    records = stage.checker.check(stage.acked)
    for job_id, plan in plans.items():
        found = records[job_id]
        if found.lost > plan.count("d") and stage.stalls.longest > 0.5:
            stage.seen.add(STARVED)
            continue
        counted = (found.attempts, found.lost, found.releases, str(found.status))
        wanted = (plan.count("r") + plan.count("t"), plan.count("d"), plan.count("g"), "finished")
        assert counted == wanted, f"{plan}: {counted}"
        stage.seen.add("ends", len(plan))


def _plan(dice: random.Random, steps: int) -> str:
    """A letter for each run, as `jobs.follow` has them; a job may be lost three times."""
    plan = [dice.choice("rrtdg") for _ in range(steps)]
    while plan.count("d") > 2:
        plan.remove("d")
    return "".join(plan) + "e"
