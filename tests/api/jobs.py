"""Functions that the tests of the API enqueue."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import time
from pathlib import Path
from typing import Any

import aqueue.sync
from aqueue import LeaseLost, get_current_job
from tests.support import wait_until


async def count_words(path: str, **more: Any) -> int:
    text = await asyncio.to_thread(Path(path).read_text)
    return len(text.split()) + len(more)


def count_words_in_a_thread(path: str) -> int:
    return len(Path(path).read_text().split())


async def add_async(x: int, y: int) -> int:
    job = get_current_job()
    assert job is not None
    job.meta["handled_by"] = socket.gethostname()
    job.meta["current"] = job.id
    await job.save_meta()
    return x + y


def add_sync(x: int, y: int) -> int:
    job = aqueue.sync.get_current_job()
    assert job is not None
    job.meta["handled_by"] = socket.gethostname()
    job.meta["current"] = job.id
    job.save_meta()
    return x + y


async def current_id() -> str | None:
    job = await asyncio.create_task(_current())
    return job


async def _current() -> str | None:
    job = get_current_job()
    return None if job is None else job.id


def current_facts_in_a_thread() -> dict[str, Any]:
    """What a plain function learns of itself without I/O, and where it ran."""
    job = get_current_job()
    assert job is not None
    return {
        "id": job.id,
        "origin": job.origin,
        "args": job.args,
        "status": str(job.status),
        "main": threading.current_thread() is threading.main_thread(),
    }


def meta_in_a_thread() -> dict[str, Any]:
    """Read what somebody else has written meanwhile, without `await`."""
    job = aqueue.sync.get_current_job()
    assert job is not None
    job.meta["seen"] = True
    job.save_meta()
    job.refresh()
    return job.get_meta()


async def hand_over() -> str:
    """Wait until the outside answers in this job's meta, and answer back."""
    job = get_current_job()
    assert job is not None
    await wait_until(job.get_meta, description="a question in the meta")
    job.meta["answer"] = job.meta["question"] + 1
    await job.save_meta()
    return "done"


async def write_when_told_to_end() -> None:
    """Write meta first and last; the last time the job may not be this one's any more."""
    job = get_current_job()
    assert job is not None
    job.meta["begun"] = True
    await job.save_meta()
    try:
        await asyncio.sleep(3600)
    finally:
        job.meta["late"] = True
        try:
            await job.save_meta()
        except LeaseLost as error:
            refused.append(error.job_id)


#: Job ids whose writes were refused in this process.
refused: list[str] = []


async def sleep_for_ever() -> None:
    await asyncio.sleep(3600)


def sleep_in_a_thread(seconds: float) -> None:
    time.sleep(seconds)


def say_hello(name: str = "Stranger") -> str:
    return f"Hi there, {name}!"


def div_by_zero(x: float) -> float:
    return x / 0


async def fail_with(message: str) -> None:
    raise ValueError(message)


async def echo(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


async def nothing() -> None:
    return None


class Greeter:
    """Methods as jobs."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def greet(self, name: str) -> str:
        return f"{self.greeting}, {name}!"

    @staticmethod
    def shout(name: str) -> str:
        return name.upper()

    @classmethod
    def make(cls, greeting: str) -> str:
        return cls(greeting).greet("you")

    def __call__(self, name: str) -> str:
        return self.greet(name)


class Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("this one stays here")

    def method(self) -> None:
        return None


partial_add = functools.partial(add_async, 1)


class LoudGreeter(Greeter):
    """Inherits a classmethod that depends on the class it is called on."""

    def greet(self, name: str) -> str:
        return super().greet(name).upper()


_counted = 0


async def count_up() -> int:
    """How often it was called in this process."""
    global _counted
    _counted += 1
    return _counted


def mixed_meta() -> None:
    """Meta set through either of the two current jobs is saved by the one that can."""
    plain = aqueue.get_current_job()
    here = aqueue.sync.get_current_job()
    assert plain is not None
    assert here is not None
    plain.meta["first"] = 1
    here.meta["second"] = 2
    here.save_meta()


def enqueue_in_a_thread(number: int) -> int:
    """A plain function that enqueues another job and waits for its end."""
    return aqueue.sync.Queue().enqueue(add_async, number, number).wait(5)
