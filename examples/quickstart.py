"""Enqueue jobs, run them, read their results; on an embedded server, so that nothing has to be set up.

    python examples/quickstart.py

In a real program the worker is a process of its own (`aqueue worker`), and the URL leads to your Redis.
"""

import asyncio
import tempfile

from quickstart_jobs import count_letters, divide, greet

from aqueue import Job, JobFailed, Queue, Worker


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue("quickstart", connection=f"embedded://{folder}")
        async with queue, Worker([queue]).running():
            greetings = [await queue.enqueue(greet, name) for name in ("Ada", "Grace", "Linus")]
            for job in greetings:
                print(await job.wait(timeout=10))

            letters = await queue.enqueue(count_letters, "queue", result_ttl="10m")
            print(await letters.wait(timeout=10))

            failing = await queue.enqueue(divide, 1, 0, failure_ttl=300)
            try:
                await failing.wait(timeout=10)
            except JobFailed as error:
                print(f"{error.type}: {error.message}")
            fetched = await Job.fetch(failing.id, connection=f"embedded://{folder}")
            print(fetched.status, fetched.meta, "failed jobs:", await queue.failed_job_registry.count())


if __name__ == "__main__":
    asyncio.run(main())
