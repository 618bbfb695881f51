"""Functions that the worker's tests enqueue. Those that take a probe's name are watched and held by it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from aqueue import JobInterrupted, Queue, get_current_job
from aqueue.errors import AqueueError
from aqueue.sync import get_current_job as get_sync_job


class Probe:
    """What a test sees of its jobs, and the door that it opens for them."""

    def __init__(self) -> None:
        self.starts = 0
        self.running = 0
        #: The most that ran at one time.
        self.most = 0
        #: Whatever jobs noted, in order.
        self.notes: list[Any] = []
        self.door = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    @contextmanager
    def counted(self) -> Generator[None]:
        with self._lock:
            self.starts += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            yield
        finally:
            with self._lock:
                self.running -= 1

    def open(self) -> None:
        """Open the door; all coroutines that wait go on in the same turn of their loop."""
        with self._lock:
            self.door.set()
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def opened(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self.door.is_set():
                return
            self._waiting.append((asyncio.get_running_loop(), event))
        await event.wait()


#: By name; in this process only.
probes: dict[str, Probe] = {}


# -- outcomes


async def give(value: Any) -> Any:
    return value


async def give_nothing() -> None:
    pass


def give_unencodable() -> Any:
    return lambda: None


def give_bytes(count: int) -> bytes:
    return b"x" * count


class Greeter:
    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    async def greet(self, name: str) -> str:
        return f"{self.greeting}, {name}"

    def greet_plainly(self, name: str) -> str:
        return f"{self.greeting}, {name}"

    @classmethod
    def make(cls, greeting: str) -> str:
        return cls(greeting).greeting

    @staticmethod
    async def shout(name: str) -> str:
        return name.upper()


class Callable_:
    async def __call__(self, value: int) -> int:
        return value + 1


an_async_callable = Callable_()
NOT_CALLABLE = 42


# -- exceptions


class MutedError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


class OwnBaseError(BaseException):
    pass


ERRORS: dict[str, Callable[[], BaseException]] = {
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": lambda: GeneratorExit("closed"),
    "base": lambda: OwnBaseError("from the base"),
    "cancelled": lambda: asyncio.CancelledError("nobody asked"),
    "muted": MutedError,
    "surrogate": lambda: ValueError("lone \ud800 surrogate"),
    "stop": lambda: StopIteration("no more"),
}


async def fail(kind: str) -> None:
    raise ERRORS[kind]()


def fail_in_thread(kind: str) -> None:
    raise ERRORS[kind]()


async def fail_with(type_name: str, message: str) -> None:
    raise {"ValueError": ValueError, "KeyError": KeyError, "OSError": OSError}[type_name](message)


async def fail_deeply() -> None:
    try:
        await fail_with("OSError", "the first")
    except OSError as error:
        raise ValueError("the second") from error


async def fail_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail_with("ValueError", "one of them"))


async def fail_twice(name: str) -> int:
    probe = probes[name]
    probe.starts += 1
    if probe.starts <= 2:
        raise ValueError(f"start {probe.starts}")
    return probe.starts


async def raise_in_child_task(kind: str) -> None:
    """Let a child task raise, after a turn of the loop."""

    async def child() -> None:
        await asyncio.sleep(0)
        await fail(kind)

    await asyncio.create_task(child())


async def cancel_a_new_child_task(name: str) -> str:
    """Cancel a child task before its first step; say what it looks like."""

    async def child() -> None:
        raise AssertionError("never begun")

    task = asyncio.get_running_loop().create_task(child(), name="mine", context=contextvars.copy_context())
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return f"{task.get_name()} {task.get_coro().__qualname__}"  # type: ignore[union-attr]


# -- held by the test


async def hear_of_the_end(name: str) -> None:
    """Note why one is cancelled, and what a write says then."""
    probe = probes[name]
    job = get_current_job()
    assert job is not None
    with probe.counted():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as error:
            probe.notes.append(str(error))
            try:
                await job.save_meta()
            except AqueueError as refused:
                probe.notes.append(type(refused).__name__)
            raise


async def hold(name: str, note: Any = None) -> Any:
    """Run until the test opens the door."""
    probe = probes[name]
    probe.notes.append(note)
    with probe.counted():
        await probe.opened()
    return note


async def hold_and_fail(name: str) -> None:
    """Run until the test opens the door, then raise."""
    await hold(name)
    raise ValueError("behind the door")


def hold_thread(name: str, note: Any = None) -> Any:
    probe = probes[name]
    probe.notes.append(note)
    with probe.counted():
        assert probe.door.wait(20)
    return note


async def note(name: str, what: Any) -> None:
    probes[name].notes.append(what)


async def swallow(name: str) -> str:
    """Go on whatever asks it to end, until the door opens."""
    probe = probes[name]
    with probe.counted():
        while not probe.door.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError as error:
                probe.notes.append(str(error))
    return "went on"


async def swallow_once(name: str) -> str:
    """Swallow the first cancellation and return at once."""
    probe = probes[name]
    with probe.counted():
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            probe.notes.append("swallowed")
    return "as if nothing had happened"


async def clean_up(name: str) -> None:
    """Clean up with awaits when cancelled."""
    probe = probes[name]
    with probe.counted():
        try:
            await asyncio.sleep(20)
        finally:
            for _ in range(5):
                await asyncio.sleep(0.01)
            probe.notes.append("cleaned up")


async def clean_up_for_ever(name: str) -> None:
    """Clean up for longer than is allowed, until cancelled a second time."""
    probe = probes[name]
    with probe.counted():
        try:
            await asyncio.sleep(20)
        finally:
            try:
                await asyncio.sleep(20)
            finally:
                probe.notes.append("cancelled again")


async def fail_when_cancelled(name: str) -> None:
    probe = probes[name]
    with probe.counted():
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            raise ValueError("while ending") from None


async def block(name: str, seconds: float) -> str:
    """Block the event loop itself."""
    probes[name].starts += 1
    time.sleep(seconds)  # noqa: ASYNC251
    return "blocked"


def look_whether_stopped(name: str, way: str = "async") -> None:
    """Run in a thread until told to end, as `raise_if_stopped` tells."""
    probe = probes[name]
    job = get_current_job() if way == "async" else get_sync_job()
    assert job is not None
    try:
        with probe.counted():
            while not probe.door.wait(0.005):
                job.raise_if_stopped()
    except JobInterrupted as error:
        probe.notes.append((error.job_id, error.reason))
        raise


async def swallow_and_look(name: str) -> None:
    """Swallow the cancellation, and find out that there was one."""
    probe = probes[name]
    job = get_current_job()
    assert job is not None
    job.raise_if_stopped()
    with probe.counted():
        try:
            await probe.opened()
        except asyncio.CancelledError:
            pass
        try:
            job.raise_if_stopped()
        except JobInterrupted as error:
            probe.notes.append((error.job_id, error.reason))


def wait_at_the_door(name: str) -> bool:
    """Wait without giving way to anybody."""
    return probes[name].door.wait(20)


async def hold_the_loop(name: str) -> str:
    """Block the event loop until the test opens the door."""
    with probes[name].counted():
        wait_at_the_door(name)
    return "blocked"


# -- the current job


async def look_around(name: str) -> str:
    """Note the id of the current job here, in a child task and in a thread."""

    def here() -> str:
        job = get_current_job()
        assert job is not None
        return job.id

    async def child() -> str:
        await asyncio.sleep(0)
        return here()

    probes[name].notes += [here(), await asyncio.create_task(child()), await asyncio.to_thread(here)]
    return here()


async def note_fencing_token(name: str) -> None:
    """Wait at the door, read the job again, and note the token."""
    probe = probes[name]
    job = get_current_job()
    assert job is not None
    with probe.counted():
        await probe.opened()
        await job.refresh()
        probe.notes.append(job.fencing_token)


def fencing_token_in_thread() -> tuple[int | None, int | None]:
    job, same = get_current_job(), get_sync_job()
    assert job is not None
    assert same is not None
    return job.fencing_token, same.fencing_token


def look_around_in_thread() -> tuple[str, str, Any]:
    job = get_current_job()
    assert job is not None
    return job.id, job.status, job.args


async def save_progress() -> None:
    job = get_current_job()
    assert job is not None
    job.meta["progress"] = 50
    await job.save_meta()


async def leave_a_child(name: str) -> str:
    """Return while a child task goes on, which writes once the door is open."""
    probe = probes[name]

    async def child() -> None:
        job = get_current_job()
        assert job is not None
        await probe.opened()
        job.meta["late"] = True
        try:
            await job.save_meta()
        except AqueueError as error:
            probe.notes.append((job.id, type(error).__name__))

    _children.add(asyncio.create_task(child()))
    return "returned"


_children: set[asyncio.Task[None]] = set()

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="untouched")


async def set_variable(value: str) -> str:
    found = variable.get()
    variable.set(value)
    await asyncio.sleep(0)
    assert variable.get() == value
    return found


async def write_behind_the_door(name: str) -> None:
    """Wait at the door, then write who one is into the meta."""
    probe = probes[name]
    job = get_current_job()
    assert job is not None
    with probe.counted():
        me = probe.starts
        await probe.opened()
        job.meta["written_by"] = me
        try:
            await job.save_meta()
        except AqueueError as error:
            probe.notes.append((type(error).__name__, me))
        else:
            probe.notes.append(("saved", me))


async def enqueue_more(name: str, count: int) -> None:
    probes[name].notes.append(count)
    if count:
        await Queue("default").enqueue(enqueue_more, name, count - 1)
