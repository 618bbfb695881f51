"""The copy of a process that a job's `os.fork()` has made, when it comes out of the job's function.

It has the sockets of the process and its locks, but not its threads: it must neither speak in its name nor
go on in its place.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress


def end_copy(pid: int, error: BaseException | None) -> None:
    """End this process unless it has this id, the way a program ends that raises this error, or none."""
    if os.getpid() == pid:
        return
    code = 0
    with suppress(Exception):
        code = _code(error)
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _code(error: BaseException | None) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1
