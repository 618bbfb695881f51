"""A FastAPI app that leaves slow work to a worker, and tells what has become of it.

uvicorn --app-dir examples fastapi_app:app       # AQUEUE_URL says where Redis is
aqueue worker --path examples reports            # in another terminal

curl -X POST "localhost:8000/reports?rows=3"
curl localhost:8000/reports/<the job's id>
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException

from aqueue import Queue, SettingsError, get_current_job

queue = Queue("reports", default_timeout="5m")  # no I/O: it connects at the first await


async def make_report(rows: int) -> list[int]:
    """The job: it runs in the worker, and says how far it is."""
    job = get_current_job()
    assert job is not None
    squares: list[int] = []
    for row in range(rows):
        await asyncio.sleep(0.05)
        squares.append(row * row)
        job.meta["done"] = row + 1
        await job.save_meta()
    return squares


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    async with queue:  # closes its connections at the end
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/reports", status_code=202)
async def create_report(rows: int) -> dict[str, str]:
    job = await queue.enqueue(make_report, rows, result_ttl="1h")
    return {"job": job.id}


@app.get("/reports/{job_id}")
async def get_report(job_id: str) -> dict[str, Any]:
    try:
        job = await queue.fetch_job(job_id)
    except SettingsError:  # nothing that could be an id
        job = None
    if job is None:
        raise HTTPException(404, "no such report")
    return {"status": job.status, "done": job.meta.get("done", 0), "report": job.result}
