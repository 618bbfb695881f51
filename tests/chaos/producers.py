"""Producers that are killed while they enqueue: `python -m tests.chaos.producers URL FILE SEED KILLS`.

Each is a fork of this process. It writes into the file what it will enqueue, and what it was told is in.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

from aqueue import Queue
from tests.chaos import jobs

#: Jobs in one call of `enqueue_many`.
TOGETHER = 30


async def produce(url: str, file: Path, name: str) -> None:
    """Enqueue until killed: one job, then many in one call, and so on."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    number = 0
    async with Queue("default", url, namespace="chaos") as queue:
        while True:
            number += 1
            ids = [f"{name}-{number}-{at}" for at in range(1 if number % 2 else TOGETHER)]
            os.write(descriptor, f"try {' '.join(ids)}\n".encode())
            datas = [Queue.prepare_data(jobs.nap, (0,), job_id=job_id, meta={"whole": 1}) for job_id in ids]
            if len(datas) == 1:
                await queue.enqueue(jobs.nap, 0, job_id=ids[0], meta={"whole": 1})
            else:
                await queue.enqueue_many(datas)
            os.write(descriptor, f"in {' '.join(ids)}\n".encode())


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def main(url: str, file: Path, seed: int, kills: int) -> None:
    dice = random.Random(seed)
    for kill in range(kills):
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(produce(url, file, f"p{kill}"))
            finally:
                os._exit(1)
        wanted = lines(file) + dice.randrange(1, 9)
        deadline = time.monotonic() + 10
        while lines(file) < wanted and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(dice.uniform(0, 0.003))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
