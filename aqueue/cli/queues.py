"""`aqueue empty`, `pause` and `resume`: commands on queues that are named, or on all."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from aqueue._core.names import check_name, is_name
from aqueue._core.serializers import OPAQUE
from aqueue.cli.ending import FAILED, OK, complain
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import progress, say, say_json
from aqueue.cli.text import plural, shown_name
from aqueue.errors import SettingsError
from aqueue.queue import Queue
from aqueue.workers import queue_counts


async def empty(names: Sequence[str], target: Target, *, all: bool, yes: bool, as_json: bool) -> int:
    """Delete the waiting jobs of queues, after a question; the exit code."""
    if all == bool(names):
        raise SettingsError("name the queues to empty, or say --all for every queue (not both)")
    chosen = _checked(names)
    if not (yes or sys.stdin.isatty()):
        raise SettingsError("emptying a queue deletes its waiting jobs: say --yes where nobody can be asked")
    with logging_to_stderr():
        await target.check()
        counts = await queue_counts(target.url, namespace=target.namespace, names=None if all else chosen)
        waiting = {name: found["queued"] for name, found in counts.items() if is_name(name)}
        if not yes and any(waiting.values()) and not await _agreed(waiting):
            complain("nothing was deleted")
            return FAILED
        deleted = await _empty(waiting, target)
    if as_json:
        say_json({"deleted": sum(deleted.values()), "queues": deleted})
    else:
        say(f"{plural(sum(deleted.values()), 'job')} deleted")
    return OK


async def _empty(waiting: dict[str, int], target: Target) -> dict[str, int]:
    deleted: dict[str, int] = {}
    with progress("deleting", sum(waiting.values())) as advance:
        for name in waiting:
            deleted[name] = await _queue(name, target).empty(progress=advance)
    return deleted


async def _agreed(waiting: dict[str, int]) -> bool:
    """Ask at the terminal. Waits in the loop, so that Ctrl-C ends it."""
    jobs = plural(sum(waiting.values()), "waiting job")
    names = ", ".join(shown_name(name) for name, count in waiting.items() if count)
    sys.stderr.write(f"Delete {jobs} of {names}? [y/N] ")
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def pause(names: Sequence[str], target: Target, *, paused: bool, as_json: bool) -> int:
    """Let workers pass over queues, or serve them again; the exit code."""
    chosen = _checked(names)
    with logging_to_stderr():
        await target.check()
        for name in chosen:
            queue = _queue(name, target)
            await (queue.pause() if paused else queue.resume())
    word = "paused" if paused else "resumed"
    if as_json:
        say_json({word: chosen})
    else:
        say(f"{plural(len(chosen), 'queue')} {word}")
    return OK


def _checked(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(check_name(name, "queue") for name in names))


def _queue(name: str, target: Target) -> Queue:
    return Queue(name, target.url, namespace=target.namespace, serializer=OPAQUE)
