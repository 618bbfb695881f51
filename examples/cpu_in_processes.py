"""Work for the processor, in child processes: all processors are used, and what runs too long is ended.

python examples/cpu_in_processes.py
"""

import asyncio
import os
import tempfile

from aqueue import JobTimeout, Queue, Worker


def count_primes(start: int, stop: int) -> tuple[int, int]:
    """The job: an ordinary function, which keeps one processor busy. Also says which process it was."""
    count = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(max(2, start), stop))
    return count, os.getpid()


def search_for_ever() -> None:
    """A job that nobody could end in a thread."""
    while True:
        pass


async def main() -> None:
    """Count in eight parts, and end a search that has no end."""
    with tempfile.TemporaryDirectory() as folder:
        queue = Queue("numbers", connection=f"embedded://{folder}", executor="process")
        async with queue, Worker([queue], max_children=2).running():
            # Named, since a child's __main__ is another program. It finds `cpu_in_processes` in this folder.
            name = "cpu_in_processes.count_primes"
            parts = [await queue.enqueue(name, n, n + 10_000) for n in range(0, 80_000, 10_000)]
            counts = [await job.wait(timeout=60) for job in parts]
            print(f"{sum(count for count, _ in counts):,} primes below 80,000")
            print(f"counted elsewhere: {os.getpid() not in {pid for _, pid in counts}}")

            endless = await queue.enqueue("cpu_in_processes.search_for_ever", job_timeout=0.5)
            try:
                await endless.wait(timeout=60)
            except JobTimeout as error:
                print(f"{error.type}: it ran longer than {endless.timeout} s")


if __name__ == "__main__":
    asyncio.run(main())
