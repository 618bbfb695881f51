"""The web examples, over real HTTP, with a real worker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers import free_port

EXAMPLES = Path(__file__).parent.parent / "examples"


@contextmanager
def program(*command: str, folder: Path = EXAMPLES) -> Generator[None]:
    """A Python program that runs during the block, and ends when it is asked to."""
    with subprocess.Popen([sys.executable, "-W", "error", "-m", *command], cwd=folder) as process:
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) in (0, -signal.SIGTERM)
        finally:
            process.kill()


def request(url: str, data: bytes | None = None) -> tuple[int, Any]:
    """Status and decoded body."""
    try:
        with urllib.request.urlopen(url, data=data, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def until(url: str, is_it: Callable[[Any], bool]) -> tuple[int, Any]:
    """Ask until the body is as it should be."""
    deadline = time.monotonic() + 20
    while True:
        try:
            status, body = request(url)
            if is_it(body):
                return status, body
        except (urllib.error.URLError, ConnectionError):  # it does not listen yet
            body = None
        assert time.monotonic() < deadline, body
        time.sleep(0.02)


def test_fastapi_with_a_worker_of_its_own(url: str) -> None:
    port = str(free_port())
    at = f"http://127.0.0.1:{port}/reports"
    app = program("uvicorn", "fastapi_app:app", "--port", port, "--log-level", "warning")
    with app, program("aqueue", "worker", "reports"):
        until(f"{at}/none", lambda body: body == {"detail": "no such report"})
        status, body = request(f"{at}?rows=3", data=b"")
        assert (status, list(body)) == (202, ["job"])

        _, report = until(f"{at}/{body['job']}", lambda body: body["status"] == "finished")
        assert report == {"status": "finished", "done": 3, "report": [0, 1, 4]}
        assert request(f"{at}/not%20an%20id")[0] == 404


def test_aiohttp_with_its_worker_inside(url: str) -> None:
    port = str(free_port())
    at = f"http://127.0.0.1:{port}/texts"
    with program("aiohttp.web", "-H", "127.0.0.1", "-P", port, "aiohttp_app:make_app"):
        status, body = until(f"{at}/none", lambda body: "error" in body)
        assert (status, "no job 'none'" in body["error"]) == (404, True)

        status, body = request(at, data=b"to be or not to be")
        assert (status, list(body)) == (202, ["job"])
        words = {"to": 2, "be": 2, "or": 1, "not": 1}
        assert request(f"{at}/{body['job']}?wait") == (200, {"status": "finished", "words": words})

        _, body = request(at, data=b" ")
        status, failed = request(f"{at}/{body['job']}?wait")
        assert (status, failed["status"]) == (500, "failed")
        assert failed["error"].endswith("ValueError: there are no words in it")
