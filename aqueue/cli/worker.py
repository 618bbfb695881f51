"""`aqueue worker`: run jobs until stopped."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager

from aqueue import __version__
from aqueue._core.logs import get_logger
from aqueue.cli.ending import FAILED, INTERRUPTED, OK, RESTART, complain, tell
from aqueue.cli.imports import import_object
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.loops import loops
from aqueue.cli.supervised import line_to_supervisor, obeying
from aqueue.cli.worker_options import WorkerOptions
from aqueue.connection import ServerError
from aqueue.errors import AqueueError, SettingsError
from aqueue.worker.settings import check_limits
from aqueue.worker.worker import Worker

logger: logging.Logger = get_logger("aqueue.worker")


async def work(options: WorkerOptions) -> int:
    """Work until stopped or done; the exit code. With zombies it ends the process itself."""
    line = line_to_supervisor()
    with logging_as_told(options):
        worker = make_worker(options)
        await options.target.check()
        logger.info("aqueue %s, pid %d, %s", __version__, os.getpid(), _facts(worker))
        code = FAILED
        try:
            with obeying(worker, line):
                await worker.work(
                    options.burst,
                    max_jobs=options.max_jobs,
                    max_idle_time=options.max_idle_time,
                    handle_signals=line is None,
                )
            logger.info("%d finished, %d failed", worker.successful_job_count, worker.failed_job_count)
            code = _code(worker, is_supervised=line is not None)
        except Exception as error:
            if error is worker.lifespan_error:
                complain(f"the lifespan {options.lifespan} raised {type(error).__name__}: {error}")
            elif isinstance(error, AqueueError | ServerError):
                code = tell(error)
            else:
                if worker.has_zombies:  # nobody else will
                    traceback.print_exception(error)
                raise
        finally:
            if worker.has_zombies:  # their threads would keep the process
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    return code


def logging_as_told(options: WorkerOptions) -> AbstractContextManager[None]:
    """Log to standard error, as much as was asked for."""
    own, root = logging.INFO, logging.INFO
    if options.verbose:
        own = logging.DEBUG
    elif options.quiet:
        own = root = logging.WARNING
    return logging_to_stderr(root=root, own=own)


def _code(worker: Worker, *, is_supervised: bool) -> int:
    if worker.was_forced:
        return INTERRUPTED
    if worker.restart_reason is not None or (is_supervised and worker.reached_max_jobs):
        return RESTART
    return OK


def make_worker(options: WorkerOptions) -> Worker:
    """The worker that the options describe; no I/O.

    Raises:
        SettingsError: A value that cannot be used.
    """
    check_limits(options.burst, options.max_jobs, options.max_idle_time)
    loops(options.loop)
    put_first(options.paths)
    return Worker(
        options.queues or ["default"],
        options.target.url,
        name=options.name,
        concurrency=options.concurrency,
        lease=options.lease,
        grace=options.grace,
        executor=options.executor,
        max_children=options.max_children,
        max_zombies=options.max_zombies,
        on_unsure=options.on_unsure,
        max_stall=options.max_stall,
        max_rss=options.max_rss,
        namespace=options.target.namespace,
        allow=options.allow,
        serializer=options.serializer,
        trust_redis=options.trust_redis or None,
        lifespan=None if options.lifespan is None else import_object(options.lifespan, "--lifespan"),
        middleware=[import_object(name, "--middleware") for name in options.middleware],
    )


def _facts(worker: Worker) -> str:
    space = worker.space
    return (
        f"{space.connector.source.shown}, namespace {space.keys.namespace}, "
        f"{worker.settings.concurrency} at a time"
    )


def put_first(paths: Sequence[str]) -> None:
    """Let modules be imported from these folders before all others.

    Raises:
        SettingsError: One does not exist.
    """
    for path in paths:
        if not os.path.exists(path):
            raise SettingsError(f"--path {path!r}: there is no such folder")
    sys.path[:0] = [os.path.abspath(path) for path in paths]
