"""What a worker process does for the supervisor that started it: end once when told so, however it is told.

A service manager may signal every process of a service, and the supervisor passes signals on: so signals
only ask to stop, however many come, and what skips the grace comes over a pipe. When the supervisor is gone,
whatever ended it, so is the other end of the pipe.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager

from aqueue._core.logs import get_logger
from aqueue.worker.signals import restored_signals
from aqueue.worker.worker import Worker

logger: logging.Logger = get_logger("aqueue.worker")

#: Environment variable with the file descriptor of the pipe.
VARIABLE = "AQUEUE_SUPERVISED"


def line_to_supervisor() -> int | None:
    """The pipe, if a supervisor started this process; what is started from here inherits nothing of it."""
    text = os.environ.pop(VARIABLE, "")
    if not text.isdecimal():
        return None
    os.set_inheritable(int(text), False)
    return int(text)


@contextmanager
def obeying(worker: Worker, line: int | None) -> Generator[None]:
    """Stop the worker when the supervisor says so or is gone. Without a supervisor this does nothing."""
    if line is None:
        yield
        return
    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[None]] = []

    def stop(why: str, *, force: bool = False) -> None:
        if not asked:
            logger.info("%s: no new jobs, running ones have %g s", why, worker.settings.grace)
        if force or not asked:
            asked.append(loop.create_task(worker.stop(force=force)))

    def hear() -> None:
        if os.read(line, 64):
            stop("told to hurry", force=True)
        else:
            loop.remove_reader(line)
            stop("the supervisor is gone")

    loop.add_reader(line, hear)
    try:
        with restored_signals(lambda number: stop(f"signal {number}")):
            yield
    finally:
        loop.remove_reader(line)
