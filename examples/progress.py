"""Watch a job's progress: the job notes how far it is in its meta, the program draws a bar of it.

python examples/progress.py
"""

import asyncio
import tempfile

from aqueue import Queue, Worker, get_current_job

WIDTH = 40


async def import_rows(count: int) -> str:
    """The job. Whoever has its id can read its meta, here or on another machine, while it runs and after."""
    job = get_current_job()
    assert job is not None
    for row in range(1, count + 1):
        await asyncio.sleep(0.01)  # the work
        if row % 5 == 0 or row == count:  # not after each row: each save is a round trip to Redis
            job.meta["rows"] = row
            await job.save_meta()
    return f"{count} rows imported"


def draw(done: int, count: int) -> None:
    """One bar, in the place of the one before."""
    filled = WIDTH * done // count
    print(f"\r{'#' * filled}{'.' * (WIDTH - filled)} {done}/{count}", end="", flush=True)


async def main() -> None:
    """Enqueue one import and watch it."""
    count = 150
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue("imports", connection=f"embedded://{folder}")
        async with queue, Worker([queue]).running():
            # Named, since a worker's __main__ is another program. `import progress` finds it in this folder.
            job = await queue.enqueue("progress.import_rows", count, meta={"rows": 0})
            end = asyncio.create_task(job.wait(timeout=60))
            while not end.done():
                meta = await job.get_meta()
                draw(meta["rows"], count)
                await asyncio.wait([end], timeout=0.1)
            draw(job.meta["rows"], count)
            print(f"\n{await end}")


if __name__ == "__main__":
    asyncio.run(main())
