"""Watch the event loop from a thread: a coroutine that blocks it holds up every job of the worker.

A stall is logged with the stack of what blocks. Past the limit the worker gives its leases up, so that
others run its jobs, and a process that is the worker's own ends. The thread is not the heartbeat's: a log
that nobody reads any more may hold up the watchdog, never the leases.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from aqueue._core.logs import get_logger
from aqueue._core.options import UNLIMITED
from aqueue.current import current_job
from aqueue.worker import RESTART
from aqueue.worker.running import Running
from aqueue.worker.settings import WorkerSettings
from aqueue.worker.stack import Stack, stack_of

logger: logging.Logger = get_logger("aqueue.worker")

#: Seconds between two looks at the loop.
LOOK = 1.0
#: Seconds that the last log line and the last beat may take: what blocks the loop may block them, too.
LAST_WORDS = 2.0
#: When this thread itself did not run for so many seconds, nothing in the process did.
STANDSTILL = 5.0


class Watchdog:
    """The thread that watches the loop in which it was made."""

    def __init__(self, running: Running, settings: WorkerSettings, gave_up: Callable[[], None]) -> None:
        """Make a watchdog.

        Args:
            gave_up: Called from the thread once the leases are given up.
        """
        self._running = running
        self._settings = settings
        self._gave_up = gave_up
        self._ends_process = False
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="aqueue-watchdog", daemon=True)
        self._answered = True
        #: Seconds since the loop was last asked for an answer, as far as this thread ran meanwhile.
        self._stall = 0.0
        #: The length of a stall at which it is logged next.
        self._next_word = settings.stall_warning

    def start(self, *, is_guest: bool) -> None:
        """Begin to watch.

        Args:
            is_guest: The worker runs inside another program. Otherwise, and in the main thread, the
                process is its own, and ends with `RESTART` when the worker gives up.
        """
        self._ends_process = not is_guest and threading.current_thread() is threading.main_thread()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join(LAST_WORDS)

    def _watch(self) -> None:
        pause = min(LOOK, self._settings.stall_warning / 5, self._settings.max_stall / 5)
        last = time.monotonic()
        while not self._over.wait(pause):
            now = time.monotonic()
            passed, last = now - last, now
            try:
                if passed > pause + STANDSTILL:
                    logger.warning(
                        "this whole process, its heartbeat included, stood still for %.0f s: "
                        "it was suspended, or code that holds the GIL kept all threads waiting",
                        passed,
                    )
                self._look(min(passed, 2 * pause))  # more is no stall of the loop: nothing ran at all
            except Exception:
                logger.exception("the watchdog failed to look, trying again")

    def _look(self, passed: float) -> None:
        if self._answered:
            self._went_on()
            self._ask()
            return
        self._stall += passed
        if self._is_too_long() and not self._running.has_given_up:
            stack = stack_of(self._loop_thread)
            if not stack.is_debugged:
                self._give_up(stack)
                return
        if self._stall >= self._next_word:
            self._next_word = 2 * self._stall
            message = "the event loop is blocked, and with it all jobs, for %.0f s now; it runs %s"
            stack_of(self._loop_thread).log(logging.WARNING, message, self._stall, self._culprit())

    def _ask(self) -> None:
        self._answered = False
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            self._over.set()  # the loop is closed

    def _answer(self) -> None:
        self._answered = True

    def _went_on(self) -> None:
        had_given_up = self._running.has_given_up
        if self._stall >= self._settings.stall_warning or had_given_up:
            also = "; jobs that others took meanwhile are cancelled here" if had_given_up else ""
            logger.warning("the event loop goes on after %.1f s%s", self._stall, also)
        self._stall = 0.0
        self._next_word = self._settings.stall_warning
        self._running.has_given_up = False

    def _is_too_long(self) -> bool:
        return self._stall >= self._settings.max_stall and self._stall >= self._limit()

    def _limit(self) -> float:
        """How long a stall may last now: a job may block the loop for as long as a job may run."""
        timeouts = [execution.lease.record.timeout for execution in self._running.undecided]
        if UNLIMITED in timeouts:
            return float("inf")
        return max(self._settings.max_stall, max(timeouts, default=0) / 1000)

    def _give_up(self, stack: Stack) -> None:
        self._running.has_given_up = True
        if self._ends_process:
            timer = threading.Timer(LAST_WORDS, os._exit, [RESTART])
            timer.daemon = True
            timer.start()
        end = f"this process ends with {RESTART}" if self._ends_process else "until it goes on"
        message = (
            "the event loop is blocked for %.0f s, longer than it may be: others get its jobs, %s; it runs %s"
        )
        stack.log(logging.ERROR, message, self._stall, end, self._culprit())
        self._gave_up()
        if self._ends_process:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(RESTART)

    def _culprit(self) -> str:
        """The job whose code the loop runs at the moment, if it can be told."""
        task = asyncio.current_task(self._loop)  # reads a dict of all loops, from any thread
        for execution in self._running:
            if execution.task is task and task is not None:
                return f"job {execution.lease.job_id} ({execution.lease.record.function!a})"
        if sys.version_info >= (3, 12) and task is not None:  # a child task of a job
            job = task.get_context().get(current_job)
            if job is not None:
                return f"job {job.id} ({job.func_name!a})"
        return "code that is no job's own"
