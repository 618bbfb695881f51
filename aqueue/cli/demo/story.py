"""The demo, from the first line to the last; what it tells of is what a program would do."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aqueue.cli.demo.files import Found, find
from aqueue.cli.demo.jobs import count_words
from aqueue.cli.demo.place import COMMAND, Place, open_place
from aqueue.cli.demo.screen import Screen
from aqueue.cli.ending import OK
from aqueue.cli.logs import logging_to_stderr
from aqueue.errors import JobError, JobFailed
from aqueue.jobs import Job
from aqueue.queue import Queue

#: So long a job may take; the demo is not to hang.
_PATIENCE = 30
_NOTES = "This file was missing.\n"


async def tell(path: Path | None) -> int:
    """The whole demo; its exit code."""
    found = find(path)
    screen = Screen(found)
    with logging_to_stderr(), _cancelled_by_signals():
        screen.begin()
        started = time.monotonic()
        async with open_place() as place:
            watch = asyncio.ensure_future(place.check_worker())
            try:
                await _unless_over(watch, place.ready())
                screen.opened(COMMAND, place.worker.pid, time.monotonic() - started)
                await _unless_over(watch, _count(place, found, screen))
                await _unless_over(watch, _fail_and_mend(place, screen))
            finally:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
        screen.end()
    return OK


async def _unless_over(watch: asyncio.Future[None], part: Coroutine[Any, Any, None]) -> None:
    """Go through one part of the demo, unless the worker ends before."""
    task = asyncio.ensure_future(part)
    try:
        await asyncio.wait([task, watch], return_when=asyncio.FIRST_COMPLETED)
        await (task if task.done() else watch)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _count(place: Place, found: Found, screen: Screen) -> None:
    """A job per file, and a table of what they found."""
    started = time.monotonic()
    datas = [Queue.prepare_data(count_words, (str(path),), job_timeout=10) for path in found.paths]
    jobs = await place.queue.enqueue_many(datas)
    counts: dict[Path, int] = {}
    errors: dict[Path, str] = {}

    async def wait_for(path: Path, job: Job[Any]) -> None:
        try:
            counts[path] = await job.wait(_PATIENCE)
        except JobError as error:
            errors[path] = str(error)
        advance(1)

    with screen.progress(len(jobs)) as advance:
        await asyncio.gather(*map(wait_for, found.paths, jobs))
    screen.counted(counts, errors, time.monotonic() - started)


async def _fail_and_mend(place: Place, screen: Screen) -> None:
    """A job that fails, the mending of its cause, and its second life."""
    notes = place.folder / "notes.txt"
    job = await place.queue.enqueue(count_words, str(notes))
    try:
        await job.wait(_PATIENCE)
    except JobFailed as error:
        screen.failed(job, error.traceback, await place.queue.failed_job_registry.count())
    notes.write_text(_NOTES)
    requeued = await place.queue.failed_job_registry.requeue(job)
    words = await requeued.wait(_PATIENCE)
    screen.mended(requeued, words)


@contextmanager
def _cancelled_by_signals() -> Generator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: with everything cleared away."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN
    ]
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        task.cancel()

    for number in numbers:
        loop.add_signal_handler(number, cancel, number)
    try:
        yield
    except asyncio.CancelledError:
        if received:
            sys.exit(128 + received[0])
        raise
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
