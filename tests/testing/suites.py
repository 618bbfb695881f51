"""Small suites of users' tests, run by a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

TASKS = """
import asyncio
from aqueue import Queue, get_current_job

queue = Queue("mail")  # made before any test, as programs do

async def send(to, subject="hi"):
    await asyncio.sleep(0)
    return f"{subject} to {to}"

def resize(path):
    return path.upper()

async def sign_up(address):
    return await queue.enqueue(send, address, subject="welcome")

async def boom():
    raise ValueError("boom")
"""

_ASYNCIO = ["-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"]
_AUTO = ["-o", "asyncio_mode=auto"]

#: How each plugin is told which tests are its own: the lines that a suite begins with, and its options.
PLUGINS = {
    "anyio": (
        "import pytest\npytestmark = pytest.mark.anyio\n"
        '@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n',
        ["-p", "anyio.pytest_plugin"],
    ),
    "asyncio strict": ("import pytest\npytestmark = pytest.mark.asyncio\n", _ASYNCIO),
    "asyncio auto": ("", [*_ASYNCIO, *_AUTO]),
    "asyncio, one loop": (
        'import pytest\npytestmark = pytest.mark.asyncio(loop_scope="session")\n',
        _ASYNCIO,
    ),
    "anyio and asyncio auto": ("", ["-p", "anyio.pytest_plugin", *_ASYNCIO, *_AUTO]),
}


def run_suite(folder: Path, test: str, *options: str, plugin: str | None = None, **environment: str) -> str:
    """Run a test file beside `tasks.py`, with warnings as errors; what pytest printed."""
    head, plugin_options = PLUGINS[plugin] if plugin else ("", list[str]())
    (folder / "tasks.py").write_text(TASKS)
    (folder / "test_app.py").write_text(head + test)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    command += ["-p", "aqueue.pytest_plugin", *plugin_options, *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AQUEUE_", "PYTEST_"))}
    variables = {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1", **environment}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=25)
    return done.stdout + done.stderr


def counts(printed: str) -> dict[str, int]:
    """What the last line says: {"passed": 3}."""
    last = printed.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", last)}
