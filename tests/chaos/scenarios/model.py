"""T40, T41, T60: the scripts in random use, compared with a model, also over a network that fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from aqueue._redis.client import AsyncClient
from aqueue._redis.operations import Operation
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from tests.api.proxy import Action, Proxy
from tests.chaos.scenario import Stage, scenario
from tests.chaos.seen import LOST_REPLIES, MODEL_STEPS
from tests.chaos.storms import FarClient, short_pauses
from tests.servers import Server, smallest
from tests.transitions.test_model import NAMESPACE, JobMachine, run_model

T = TypeVar("T")


def without_aof() -> Server:
    return Server("--maxmemory-policy", "noeviction", aof=False)


class FarLoopClient(FarClient):
    """Its scripts are called by an event loop, as workers and producers do; it is driven from a thread."""

    loop: asyncio.AbstractEventLoop
    driver: AsyncClient

    def call(self, operation: Operation[T]) -> T:
        return asyncio.run_coroutine_threadsafe(self.driver.run(operation), self.loop).result()


@contextmanager
def quiet() -> Generator[None]:
    """A network that fails all the time would fill the log."""
    logger = logging.getLogger("aqueue")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def url_of(stage: Stage) -> str:
    """For the namespace that the model has."""
    return stage.server.user("model", *smallest(NAMESPACE))


async def compare(stage: Stage, client: SyncClient) -> None:
    before = JobMachine.steps
    await asyncio.to_thread(
        run_model,
        client,
        stage.server,
        runs=stage.number("runs"),
        steps=50,
        seed=stage.dice.randrange(10**9),
    )
    stage.seen.add(MODEL_STEPS, JobMachine.steps - before)


async def compare_far(stage: Stage, action: Action, faults: str) -> None:
    """With each of the two drivers."""
    url = url_of(stage)
    async with Proxy(url) as proxy:
        driver = AsyncClient(from_url(proxy.url))
        near = FarClient(url, proxy, action, stage.dice)
        loop = FarLoopClient(url, proxy, action, stage.dice)
        loop.loop, loop.driver = asyncio.get_running_loop(), driver
        with short_pauses(), quiet():
            for client in (near, loop):
                await compare(stage, client)
                stage.seen.add(faults, client.met)
        await driver.aclose()


@scenario(
    "T40",
    "the reply is lost, for every script, up to ten times in a row",
    checks="",
    quick={"runs": 2},
    full={"runs": 60},
    parts=10,
    server=without_aof,
)
async def replies_are_lost(stage: Stage) -> None:
    await compare_far(stage, "cut after", LOST_REPLIES)


@scenario(
    "T41",
    "the request is lost, for every script, up to ten times in a row",
    checks="",
    quick={"runs": 2},
    full={"runs": 60},
    parts=5,
    server=without_aof,
)
async def requests_are_lost(stage: Stage) -> None:
    await compare_far(stage, "cut before", "lost_requests")


@scenario(
    "T60",
    "a model and random steps, replayed, with zombies and out of memory",
    checks="",
    quick={"runs": 10},
    full={"runs": 250},
    parts=20,
    server=without_aof,
)
async def random_steps(stage: Stage) -> None:
    await compare(stage, SyncClient(from_url(url_of(stage))))
