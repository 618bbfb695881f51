"""What tests name with `--lifespan` and `--middleware`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aqueue import Job, Worker, get_current_job


@asynccontextmanager
async def lifespan(worker: Worker) -> AsyncGenerator[str]:
    yield f"opened for {worker.name}"


async def tell_state() -> Any:
    job = get_current_job()
    assert job is not None
    return job.state


@asynccontextmanager
async def broken() -> AsyncGenerator[None]:
    raise OSError("no database\nat all")
    yield


@asynccontextmanager
async def broken_at_the_end() -> AsyncGenerator[None]:
    yield
    raise OSError("cannot flush")


@asynccontextmanager
async def stuck() -> AsyncGenerator[None]:
    logging.getLogger("shared").warning("opening")
    await asyncio.sleep(60)
    yield


class Tools:
    @staticmethod
    async def shout(job: Job[Any], call_next: Callable[[], Awaitable[Any]]) -> Any:
        return str(await call_next()).upper()


async def exclaim(job: Job[Any], call_next: Callable[[], Awaitable[Any]]) -> Any:
    return f"{await call_next()}!"
