"""`aqueue worker --processes N`: a process that keeps N workers alive.

It knows processes and signals, and nothing of jobs: each worker is an `aqueue worker` of its own, and the
leases bring back what one leaves behind when it dies. It reaps orphans too, as PID 1 of a container has to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from aqueue import __version__
from aqueue._core.logs import get_logger
from aqueue._core.names import check_integer, check_name
from aqueue.cli.child import Child
from aqueue.cli.ending import FAILED, INTERRUPTED, OK, REFUSED, RESTART, USAGE
from aqueue.cli.text import shown_age
from aqueue.cli.worker import logging_as_told, make_worker
from aqueue.cli.worker_options import WorkerOptions

logger: logging.Logger = get_logger("aqueue.supervisor")

MAX_PROCESSES = 1_000

#: Codes of processes in whose place another one would do no better.
_HOPELESS = (USAGE, REFUSED)
#: Ways to end for one that was told to: by the signal itself when it had just been started.
_IN_ORDER = (OK, RESTART, -signal.SIGTERM)


async def supervise(
    options: WorkerOptions, count: int, arguments: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Keep `count` workers alive until stopped, or until all have done what they were told; the exit code.

    Args:
        arguments: What each worker gets on its command line, without a name.
        environment: What each gets in its environment.
    """
    check_integer(count, "processes", 1, MAX_PROCESSES)
    if options.name is not None:
        check_name(f"{options.name}-{count}", "worker")
    with logging_as_told(options):
        make_worker(options)  # complains of settings once, not N times
        supervisor = Supervisor(
            [_child(options.name, number, arguments, environment) for number in range(1, count + 1)],
            is_burst=options.burst,
            may_end=options.burst or options.max_idle_time is not None,
        )
        with supervisor.handling_signals():
            await options.target.check()
            logger.info("aqueue %s, pid %d, supervises %d workers", __version__, os.getpid(), count)
            return await supervisor.run()


def _child(name: str | None, number: int, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
    # Started as a script, this process does not import from the current folder, and neither do they.
    safe = [] if os.path.basename(sys.argv[0]) == "__main__.py" else ["-P"]
    named = [] if name is None else ["--name", f"{name}-{number}"]
    command = [sys.executable, *safe, "-m", "aqueue", "worker", *named, *arguments]
    return Child(f"worker {number}" if name is None else f"{name}-{number}", command, environment)


class Supervisor:
    """Starts workers, passes signals on, and replaces what ends."""

    def __init__(self, children: Sequence[Child], *, is_burst: bool, may_end: bool) -> None:
        """Make a supervisor; nothing is started yet.

        Args:
            is_burst: A worker that died is not replaced.
            may_end: A worker that ended by itself is not replaced.
        """
        self._children = children
        self._is_burst = is_burst
        self._may_end = may_end
        self._alive: dict[int, Child] = {}
        #: Those that are to be started again.
        self._waiting: dict[Child, asyncio.TimerHandle] = {}
        #: How often it was asked to stop.
        self._stops = 0
        #: Nothing is started any more.
        self._is_ending = False
        self._code = OK
        self._changed = asyncio.Event()
        #: At a terminal a hangup is the end of the terminal; elsewhere it is a word for "start afresh".
        self._has_terminal = any(os.isatty(fd) for fd in range(3))

    @contextmanager
    def handling_signals(self) -> Generator[None]:
        """Heed requests to stop during the block. A hangup that was ignored before, as by nohup, still is."""
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._signaled, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def run(self) -> int:
        """Keep the workers alive until all have ended for good; the exit code."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            if not self._is_ending:
                for child in self._children:
                    self._start(child)
            while self._alive or self._waiting:
                self._changed.clear()
                await self._changed.wait()
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
        return INTERRUPTED if self._stops > 1 else self._code

    def _start(self, child: Child) -> None:
        self._waiting.pop(child, None)
        try:
            pid = child.start()
        except OSError as error:
            pause = self._start_later(child, 0)
            logger.error("%s cannot be started, next try in %g s: %s", child.label, pause, error)
            return
        self._alive[pid] = child
        logger.info("%s starts", child)

    def _start_later(self, child: Child, lived: float) -> float:
        pause = child.next_pause(lived)
        self._waiting[child] = asyncio.get_running_loop().call_later(pause, self._start, child)
        return pause

    def _signaled(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP and not self._has_terminal:
            logger.info(
                "%s: all workers are replaced, each once its jobs have ended or the grace is over", name
            )
            for child in self._alive.values():
                child.stop()
            return
        self._stops += 1
        if self._stops == 1:
            logger.info("%s: %d workers are told to stop", name, len(self._alive))
            self._stop()
        elif self._stops == 2:
            logger.warning("second signal: jobs are cancelled now")
            for child in self._alive.values():
                child.hurry()
        else:
            logger.warning("third signal: workers are killed")
            for child in self._alive.values():
                child.kill()

    def _stop(self) -> None:
        self._is_ending = True
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for child in self._alive.values():
            child.stop()
        self._changed.set()

    def _reap(self) -> None:
        """Take leave of all that ended: workers, and orphans whose parent is PID 1 now."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._alive.pop(pid, None)
            if child is not None:
                self._ended(child, os.waitstatus_to_exitcode(status))
                self._changed.set()

    def _ended(self, child: Child, code: int) -> None:
        lived = child.ended(code)
        what = f"{child} {_manner(code)} after {shown_age(lived)}"
        if self._is_ending:
            in_order = code in _IN_ORDER or self._stops > 1
            self._code = self._code or (OK if in_order else FAILED)
            logger.log(logging.INFO if in_order else logging.WARNING, "%s", what)
        elif code in _HOPELESS:
            logger.error("%s: another one would do no better, so all end", what)
            self._code = code
            self._stop()
        elif code == RESTART or child.is_leaving:
            logger.info("%s, to be replaced", what)
            self._start(child)
        elif self._may_end and code == OK:
            logger.info("%s", what)
        elif self._is_burst:
            logger.error("%s", what)
            self._code = FAILED
        else:
            logger.warning("%s; the next one starts in %g s", what, self._start_later(child, lived))


def _manner(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exited with {code}" if code else "ended"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
