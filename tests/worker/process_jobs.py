"""Jobs for child processes. What they see is told through results, files and Redis: probes stay behind."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from aqueue import AqueueError, JobInterrupted, Queue, get_current_job, job
from aqueue.sync import get_current_job as get_sync_job
from aqueue.worker import child


def pid(*_: Any) -> int:
    return os.getpid()


@job("p", executor="process")
def decorated_pid() -> int:
    return os.getpid()


async def pid_of_coroutine() -> int:
    await asyncio.sleep(0)
    return os.getpid()


def add(a: int, b: int) -> int:
    return a + b


def surroundings() -> dict[str, Any]:
    """What a job finds in its process."""
    return {
        "stdin": sys.stdin.read(),
        "argv": sys.argv[1:],
        "pgid is pid": os.getpgrp() == os.getpid(),
        "main thread": threading.current_thread() is threading.main_thread(),
        "command": Path("/proc/self/cmdline").read_bytes().decode(),
    }


def who() -> tuple[str, tuple[Any, ...], str | None]:
    job = get_current_job()
    assert job is not None
    return job.id, job.args, job.executor


def save_meta() -> None:
    job = get_sync_job()
    assert job is not None
    job.meta["progress"] = 1
    job.save_meta()


async def save_meta_awaited() -> None:
    job = get_current_job()
    assert job is not None
    job.meta["progress"] = 2
    await job.save_meta()


async def enqueue_another(name: str) -> str:
    job = await Queue(name).enqueue(add, 1, 1)
    return job.id


def write_when_told(folder: str) -> None:
    """Try to write to the job once the test says so; note what came of it."""
    mark(folder, "begun")
    until(folder, "go")
    job = get_sync_job()
    assert job is not None
    job.meta["late"] = True
    try:
        job.save_meta()
    except AqueueError as error:
        mark(folder, type(error).__name__)


class OwnError(ValueError):
    pass


def fail(message: str) -> None:
    raise OwnError(message)


async def fail_awaited(message: str) -> None:
    await asyncio.sleep(0)
    raise OwnError(message)


def exit_with(code: int) -> None:
    sys.exit(code)


async def exit_in_child_task() -> None:
    async def leave() -> None:
        sys.exit(5)

    await asyncio.create_task(leave())


def give_unencodable() -> Any:
    return lambda: None


def give_bytes(count: int) -> bytes:
    return b"x" * count


# -- the ends of processes


def exit_at_once(code: int) -> None:
    os._exit(code)


def kill_self(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def crash() -> None:
    ctypes.string_at(0)


def mark(folder: str, name: str, text: str = "") -> None:
    path = Path(folder, name)
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def until(folder: str, name: str) -> None:
    deadline = time.monotonic() + 20
    while not Path(folder, name).exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def hold(folder: str) -> str:
    """Run until the test says go; note an interruption and clean up."""
    mark(folder, "begun", str(os.getpid()))
    try:
        until(folder, "go")
    except JobInterrupted as error:
        mark(folder, "interrupted", error.reason)
        raise
    return "went"


async def hold_awaited(folder: str) -> None:
    mark(folder, "begun", str(os.getpid()))
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError as error:
        await asyncio.sleep(0.01)
        mark(folder, "interrupted", str(error))
        raise


def hold_stubbornly(folder: str) -> None:
    """Let nothing but SIGKILL end it, and have a process of its own beside it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    other = subprocess.Popen(["sleep", "60"])
    mark(folder, "begun", f"{os.getpid()} {other.pid}")
    while True:
        time.sleep(0.01)


def go_on_when_interrupted(folder: str) -> str:
    """Return although interrupted."""
    mark(folder, "begun")
    try:
        until(folder, "go")
    except JobInterrupted:
        pass
    return "returned"


def look_whether_stopped(folder: str) -> None:
    """Swallow the interruption, then be told by `raise_if_stopped`."""
    job = get_current_job()
    assert job is not None
    go_on_when_interrupted(folder)
    try:
        job.raise_if_stopped()
    except JobInterrupted as error:
        mark(folder, "told", error.reason)


# -- what they say


def say(*lines: str) -> None:
    for line in lines:
        print(line)
    print("to stderr", file=sys.stderr)


def say_without_newline(text: str) -> None:
    sys.stdout.write(text)


def say_much(count: int) -> None:
    for number in range(count):
        print("line", number)


def log(message: str) -> None:
    logger = logging.getLogger("tests.app")
    logger.debug("not to be seen")
    logger.warning("%s", message)
    try:
        raise OwnError("within")
    except OwnError:
        logger.exception("it went wrong")


def speak_to_c(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def fork(how: str) -> int:
    """The exit code of a copy of the process, which comes out of this function in its own way."""
    copy = os.fork()
    if copy:
        return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if how == "exit":
        sys.exit(3)
    if how == "raise":
        raise ValueError("from the copy")
    return -1


async def fork_in_coroutine(how: str) -> int:
    return fork(how)


def forge(**head: Any) -> None:
    """Say in the child's place how the job ended."""
    for found in gc.get_objects():
        if isinstance(found, child.Child):
            found._send({"kind": "failed", **head})
    time.sleep(30)
