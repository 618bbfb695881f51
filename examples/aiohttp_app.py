"""An aiohttp app that runs its worker itself: one process, enough for a small deployment.

cd examples && python -m aiohttp.web -H localhost -P 8080 aiohttp_app:make_app

curl -d "to be or not to be" localhost:8080/texts
curl "localhost:8080/texts/<the job's id>?wait"
"""

from collections import Counter
from collections.abc import AsyncGenerator

from aiohttp import web

from aqueue import Job, JobError, NoSuchJobError, Queue, SettingsError, WaitTimeout, Worker

queue = Queue("texts")  # AQUEUE_URL says where Redis is; no I/O yet


def count_words(text: str) -> dict[str, int]:
    """The job: a plain function runs in a thread, and the loop goes on serving."""
    if not text.strip():
        raise ValueError("there are no words in it")
    return dict(Counter(text.split()).most_common())


async def post_text(request: web.Request) -> web.Response:
    job = await queue.enqueue(count_words, await request.text(), result_ttl="10m")
    return web.json_response({"job": job.id}, status=202)


async def get_text(request: web.Request) -> web.Response:
    """Answer at once; with `?wait` when the job has ended, or after ten seconds: nobody polls."""
    try:
        job = await Job.fetch(request.match_info["id"])
    except (NoSuchJobError, SettingsError) as error:  # the latter: nothing that could be an id
        return web.json_response({"error": str(error)}, status=404)
    try:
        words = await job.wait(timeout=10 if "wait" in request.query else 0)
    except WaitTimeout:
        return web.json_response({"status": await job.get_status()}, status=202)
    except JobError as error:  # failed, canceled, expired
        return web.json_response({"status": job.status, "error": str(error)}, status=500)
    return web.json_response({"status": job.status, "words": words})


async def work(_: web.Application) -> AsyncGenerator[None]:
    """Run jobs as long as the app is up; at its end, running ones may finish."""
    async with queue, Worker(queue, grace=5).running():
        yield


def make_app(argv: list[str]) -> web.Application:
    app = web.Application()
    app.cleanup_ctx.append(work)
    app.add_routes([web.post("/texts", post_text), web.get("/texts/{id}", get_text)])
    return app
