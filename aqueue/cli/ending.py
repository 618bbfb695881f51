"""How a command ends: its exit code, and one line on standard error for what went wrong."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer

from aqueue.cli.loops import loops
from aqueue.cli.text import first_line
from aqueue.cli.worker_options import LoopName
from aqueue.connection import ServerError
from aqueue.errors import AqueueError, NoSuchJobError, QueueUnavailable, SettingsError
from aqueue.worker import RESTART as RESTART

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
UNREACHABLE = 4
REFUSED = 78
INTERRUPTED = 130

_START_IT = "start it, or name another one with --url or AQUEUE_URL"
_OTHER_USER = "give the right user and password in --url or AQUEUE_URL"


def complain(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"aqueue: {first_line(message).rstrip(':')}\n")
    sys.stderr.flush()


def finish(command: Coroutine[Any, Any, int], loop: LoopName = "asyncio") -> NoReturn:
    """Run a command to its end on such a loop, and exit with its code."""
    try:
        with asyncio.Runner(loop_factory=loops(loop)) as runner:
            code = runner.run(outcome(command))
    except SettingsError as error:
        command.close()
        complain(str(error))
        code = USAGE
    except KeyboardInterrupt:
        code = INTERRUPTED
    raise typer.Exit(code)


async def outcome(command: Coroutine[Any, Any, int]) -> int:
    """The exit code of a command, also of one that raises: that is told here."""
    try:
        return await command
    except (AqueueError, ServerError) as error:
        return tell(error)


def tell(error: AqueueError | ServerError) -> int:
    """Say in a line what went wrong; the exit code for it."""
    code, message = _judge(error)
    complain(message)
    return code


def _judge(error: Exception) -> tuple[int, str]:
    match error:
        case QueueUnavailable(refused=True, missing=(_, *_)) | QueueUnavailable(moved_to=str()):
            return REFUSED, str(error)
        case QueueUnavailable(refused=True):
            return REFUSED, f"{_sentence(error)}: {_OTHER_USER}"
        case QueueUnavailable():
            return UNREACHABLE, f"{_sentence(error)}: {_START_IT}"
        case SettingsError():
            return USAGE, str(error)
        case NoSuchJobError():
            return NOT_FOUND, str(error)
        case ServerError():
            return FAILED, f"Redis answered with an error: {error}"
        case _:
            return FAILED, str(error)


def _sentence(error: Exception) -> str:
    """The error's first line, without what would look odd before a colon."""
    return first_line(str(error)).rstrip(".:")
