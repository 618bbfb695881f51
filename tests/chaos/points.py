"""A worker that dies by itself at a named point: `python -m tests.chaos.points "settlement sent:2" worker`.

The second time it comes to the point it kills itself with SIGKILL. The points are laid around the worker's
own functions from here, so that the package has no code for tests.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from aqueue.__main__ import main as aqueue
from aqueue._redis import operations
from aqueue._redis.client import AsyncClient
from aqueue._redis.line import Line
from aqueue.worker.executor import Executor
from aqueue.worker.fetcher import Fetcher
from aqueue.worker.heartbeat import Heartbeat
from aqueue.worker.run import Run
from aqueue.worker.settler import Settler

Hit = Callable[[], None]
Install = Callable[[Hit], None]


def _around(owner: type, name: str, *, after: bool) -> Install:
    """The point before or after a method."""

    def install(hit: Hit) -> None:
        original = getattr(owner, name)

        def around(*args: Any, **options: Any) -> Any:
            if not after:
                hit()
                return original(*args, **options)
            result = original(*args, **options)
            if inspect.isawaitable(result):
                return _then(result, hit)
            hit()
            return result

        setattr(owner, name, around)

    return install


async def _then(result: Any, hit: Hit) -> Any:
    value = await result
    hit()
    return value


def _sent(script: str) -> Install:
    """The point after a script's call has been written to the socket, its reply not read."""

    def install(hit: Hit) -> None:
        original, sha = Line.send, operations._SCRIPTS[script].sha.encode()

        def send(line: Line, packed: bytes, count: int) -> asyncio.Future[list[Any]]:
            answer = original(line, packed, count)
            if sha in packed:
                hit()
            return answer

        setattr(Line, "send", send)  # noqa: B010

    return install


def _answered(script: str) -> Install:
    """The point at which a script's reply has been read, and nobody has acted upon it."""

    def install(hit: Hit) -> None:
        original = AsyncClient.run

        async def run(client: AsyncClient, operation: Any, **options: Any) -> Any:
            value = await original(client, operation, **options)
            if operation.script.name == script and getattr(value, "leases", True):
                hit()
            return value

        setattr(AsyncClient, "run", run)  # noqa: B010

    return install


def _while_a_job_runs(hit: Hit) -> None:
    original = Run._begun

    def begun(run: Run, execution: Any) -> None:
        original(run, execution)
        asyncio.get_running_loop().call_later(0.01, hit)

    setattr(Run, "_begun", begun)  # noqa: B010


#: In the life of a worker that claims, runs and settles.
WORKING: dict[str, Install] = {
    "before a claim": _around(Fetcher, "_claim", after=False),
    "claim sent": _sent("claim"),
    "claim answered": _answered("claim"),
    "before jobs are taken": _around(Fetcher, "_take", after=False),
    "before a start": _around(Run, "_start", after=False),
    "started": _around(Run, "_start", after=True),
    "while a job runs": _while_a_job_runs,
    "decided": _around(Run, "_decided", after=False),
    "before a settlement": _around(Settler, "_send", after=False),
    "settlement sent": _sent("settle"),
    "settlement answered": _answered("settle"),
    "settled": _around(Run, "_settled", after=True),
    "before a beat": _around(Heartbeat, "_beat", after=False),
    "after a beat": _around(Heartbeat, "_beat", after=True),
    "recovery sent": _sent("recover"),
    "recovery answered": _answered("recover"),
}
#: After SIGTERM and not before it, with jobs that do not end within the grace.
LEAVING: dict[str, Install] = {
    "signaled": _around(Run, "signaled", after=False),
    "asked to stop": _around(Run, "ask_to_stop", after=True),
    "draining": _around(Run, "_drain", after=False),
    "asking a job to end": _around(Executor, "ask", after=False),
    "asked a job to end": _around(Executor, "ask", after=True),
    "release sent": _sent("settle"),
    "released": _answered("settle"),
    "drained": _around(Run, "_drain", after=True),
    "leaving": _around(Run, "_leave", after=False),
    "beats no more": _around(Heartbeat, "stop", after=True),
    "leave sent": _sent("leave"),
    "left": _around(Run, "_leave", after=True),
}


def main() -> None:
    name, _, nth = sys.argv.pop(1).partition(":")
    left = int(nth or 1)

    is_armed = name in WORKING

    def arm() -> None:
        nonlocal is_armed
        is_armed = True

    def hit() -> None:
        nonlocal left
        left -= is_armed
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    {**WORKING, **LEAVING}[name](hit)
    _around(Run, "signaled", after=False)(arm)
    aqueue()


if __name__ == "__main__":
    main()
