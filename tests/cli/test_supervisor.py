"""`aqueue worker --processes N`: what dies is replaced, signals are passed on, nothing is left behind."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from aqueue import Queue
from aqueue.cli.child import Child
from aqueue.cli.retyping import typed_again
from tests import tasks
from tests.cli import jobs
from tests.cli.conftest import PLAIN, ROOT, Invoke
from tests.cli.hands import enqueue, statuses, wait_for_status
from tests.cli.terminal import is_running
from tests.servers import Server, free_port

pytestmark = [pytest.mark.timeout(90), pytest.mark.slow]

AQUEUE = [sys.executable, "-m", "aqueue"]


class Supervised:
    """`aqueue worker --processes N` and what it has logged."""

    def __init__(self, *args: str, before: list[str], adopts: bool) -> None:
        #: Its pids are those of a namespace.
        self.is_contained = bool(before)
        self.process = subprocess.Popen(
            [*before, *AQUEUE, "worker", *args],
            cwd=ROOT,
            env={**os.environ, **PLAIN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=adopt_orphans if adopts else None,
        )
        self.log = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log += line

    def wait_for(self, pattern: str, *, times: int = 1) -> list[str]:
        """Wait until the log matches so many times; the matches."""
        deadline = time.monotonic() + 40
        while len(found := re.findall(pattern, self.log)) < times:
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.log}"
            assert self.process.poll() is None or self._reader.is_alive(), f"ended:\n{self.log}"
            time.sleep(0.01)
        return found

    def serving(self, count: int) -> list[int]:
        """Wait until so many workers serve; the pids of all that ever started."""
        self.wait_for(r"worker \S+ serves", times=count)
        return self.pids

    @property
    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"\(pid (\d+)\) starts", self.log)]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end of all processes; the exit code."""
        code = self.process.wait(40)
        self._reader.join(15)  # the log has no end before the last child
        assert not self._reader.is_alive(), f"somebody is left:\n{self.log}"
        return code


def adopt_orphans() -> None:
    """Be the one to whom orphans below go, as PID 1 is (PR_SET_CHILD_SUBREAPER); execve keeps it."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise() -> Iterator[Supervise]:
    """Start one; whatever is left of it is killed at the end of the test."""
    started: list[Supervised] = []

    def run(*args: str, before: list[str] | None = None, adopts: bool = False) -> Supervised:
        started.append(Supervised(*args, before=before or [], adopts=adopts))
        return started[-1]

    yield run
    for each in started:
        each.process.kill()
        if not each.is_contained:
            for pid in filter(is_running, each.pids):
                os.kill(pid, signal.SIGKILL)
        each.end()


def test_what_dies_is_replaced_and_sigterm_ends_all_with_0(
    queue: Queue, url: str, supervise: Supervise
) -> None:
    running = supervise("--processes", "2", "--name", "web", "--url", url)
    first, second = running.serving(2)
    assert running.wait_for(r"worker (\S+) serves", times=2) in (["web-1", "web-2"], ["web-2", "web-1"])
    os.kill(first, signal.SIGKILL)
    running.wait_for(rf"web-1 \(pid {first}\) was killed by SIGKILL .*; the next one starts in 1 s")
    third = running.serving(3)[2]
    job_id = enqueue(queue, tasks.nap, 0.5)
    wait_for_status(job_id, "started")
    running.send(signal.SIGTERM)

    assert running.end() == 0
    assert statuses(job_id) == ["finished"]
    assert not any(is_running(pid) for pid in (first, second, third))
    assert running.log.count("SIGTERM: 2 workers are told to stop") == 1
    assert "Traceback" not in running.log


def test_a_signal_that_reaches_all_processes_at_once_counts_once(
    queue: Queue, supervise: Supervise, tmp_path: Path
) -> None:
    """As when a service manager stops all processes of a service."""
    running = supervise("--processes", "1", "--grace", "20")
    [pid] = running.serving(1)
    job_id = enqueue(queue, jobs.hold_until, str(tmp_path / "door"))
    wait_for_status(job_id, "started")
    os.kill(pid, signal.SIGTERM)
    running.send(signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)
    running.wait_for("told to stop")
    running.wait_for("no new jobs")
    (tmp_path / "door").touch()

    assert running.end() == 0
    assert statuses(job_id) == ["finished"]


def test_a_second_signal_skips_the_grace_of_all_and_exits_130(
    queue: Queue, supervise: Supervise, tmp_path: Path
) -> None:
    running = supervise("--processes", "1", "--grace", "1h")
    running.serving(1)
    job_id = enqueue(queue, jobs.hold_until, str(tmp_path / "door"))
    wait_for_status(job_id, "started")
    running.send(signal.SIGINT)
    running.wait_for("no new jobs")
    running.send(signal.SIGTERM)

    assert running.end() == 130
    assert statuses(job_id) == ["queued"]


def test_a_third_signal_kills(queue: Queue, supervise: Supervise) -> None:
    running = supervise("--processes", "1")
    running.serving(1)
    job_id = enqueue(queue, jobs.block_the_loop, 60)
    wait_for_status(job_id, "started")
    for times, told in enumerate(["told to stop", "second signal", "third signal"], 1):
        running.send(signal.SIGTERM)
        running.wait_for(told)
        assert running.log.count("signal: ") == times - 1

    assert running.end() == 130
    assert "was killed by SIGKILL" in running.log


def test_a_supervisor_that_is_killed_leaves_nobody_behind(
    queue: Queue, supervise: Supervise, tmp_path: Path
) -> None:
    running = supervise("--processes", "2", "--grace", "20")
    running.serving(2)
    job_id = enqueue(queue, jobs.hold_until, str(tmp_path / "door"))
    wait_for_status(job_id, "started")
    running.process.kill()
    running.wait_for("the supervisor is gone: no new jobs", times=2)
    (tmp_path / "door").touch()

    assert running.end() == -signal.SIGKILL
    assert statuses(job_id) == ["finished"]


def test_a_hangup_replaces_all_workers(queue: Queue, supervise: Supervise) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored, as by nohup, it would stay that
    try:
        running = supervise("--processes", "1")
    finally:
        signal.signal(signal.SIGHUP, before)
    running.serving(1)
    running.send(signal.SIGHUP)
    running.wait_for(r"ended after .*, to be replaced")
    running.serving(2)
    running.send(signal.SIGTERM)

    assert running.end() == 0
    assert len(set(running.pids)) == 2


def test_a_burst_ends_when_its_workers_have_and_they_are_recycled_in_it(
    queue: Queue, supervise: Supervise
) -> None:
    ids = [enqueue(queue, tasks.add, number, 1) for number in range(3)]
    running = supervise("--processes", "1", "--burst", "--max-jobs", "2")

    assert running.end() == 0
    assert set(statuses(*ids)) == {"finished"}
    assert running.log.count("exited with 75") == 1
    assert len(running.pids) == 2


def test_a_burst_in_which_a_worker_dies_exits_1(queue: Queue, supervise: Supervise) -> None:
    enqueue(queue, jobs.die)
    running = supervise("--processes", "1", "--burst")

    assert running.end() == 1
    assert "exited with 9" in running.log
    assert len(running.pids) == 1


def test_a_worker_that_holds_too_much_memory_is_replaced_at_once(queue: Queue, supervise: Supervise) -> None:
    running = supervise("--processes", "1", "--max-rss", "250M")
    running.serving(1)
    job_id = enqueue(queue, jobs.grow, 250)
    running.wait_for(r"is to be replaced: it holds \d+M of memory, more than max_rss=250M")
    running.wait_for(r"exited with 75 .*, to be replaced")
    running.serving(2)
    running.send(signal.SIGTERM)

    assert running.end() == 0
    assert statuses(job_id) == ["finished"]


def test_a_worker_whose_credentials_are_refused_ends_all_with_78(supervise: Supervise, url: str) -> None:
    with Server(aof=False) as server, server.client() as plain:
        client: Any = plain
        client.execute_command("ACL", "SETUSER", "me", "on", ">s3cret", "~*", "&*", "+@all")
        running = supervise("--processes", "1", "-u", server.url.replace("//", "//me:s3cret@"))
        [pid] = running.serving(1)
        command = Path(f"/proc/{pid}/cmdline").read_text()
        client.execute_command("ACL", "SETUSER", "me", "resetpass", ">other")
        os.kill(pid, signal.SIGKILL)

        assert running.end() == 78
    assert "redis://" not in command
    assert "s3cret" not in command + running.log
    assert "exited with 78 after" in running.log


UNSHARE = ["unshare", "-Urpf", "--mount-proc", "--kill-child"]


@pytest.mark.parametrize("place", ["PID 1", "subreaper"])
def test_orphans_are_reaped_where_they_come_to_the_supervisor(
    queue: Queue, supervise: Supervise, place: str
) -> None:
    is_first = place == "PID 1"
    if is_first and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode:
        pytest.skip("no PID namespaces here")
    running = supervise("--processes", "1", before=UNSHARE if is_first else [], adopts=not is_first)
    running.serving(1)
    assert ("pid 1," in running.log) == is_first
    orphan = run(queue, jobs.leave_an_orphan)
    deadline = time.monotonic() + 10
    while run(queue, jobs.state_of, orphan) is not None:
        assert time.monotonic() < deadline
    pid = running.process.pid
    if is_first:
        [pid] = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    os.kill(pid, signal.SIGTERM)

    assert running.end() == 0


def run(queue: Queue, func: Callable[..., Any], *args: Any) -> Any:
    """What a job returns."""

    async def call() -> Any:
        job = await queue.enqueue(func, *args)
        return await job.wait(10)

    return asyncio.run(call())


def test_pauses_grow_and_begin_anew_after_a_good_minute() -> None:
    child = Child("worker 1", [], {})

    assert [child.next_pause(lived=0.5) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert child.next_pause(lived=61) == 1
    assert child.next_pause(lived=59) == 2


def test_options_are_passed_on_as_they_were_given_and_secrets_by_the_environment() -> None:
    told: list[tuple[list[str], dict[str, str]]] = []
    program = typer.Typer()

    @program.command()
    def command(  # pyright: ignore[reportUnusedFunction]
        context: typer.Context,
        names: list[str],
        secret: Annotated[str, typer.Option("--secret", "-s", envvar="SECRET")] = "",
        known: Annotated[str, typer.Option(envvar="KNOWN")] = "",
        number: Annotated[int, typer.Option("--number", "-n")] = 1,
        path: Annotated[list[str] | None, typer.Option("--path", "-P")] = None,
        loud: Annotated[bool, typer.Option("--loud", "-l")] = False,
        safe: Annotated[bool, typer.Option("--safe/--unsafe")] = True,
        processes: int = 0,
        untouched: str = "default",
    ) -> None:
        told.append(typed_again(context, without=["processes"]))

    CliRunner(env={"KNOWN": "from the environment"}).invoke(
        program,
        ["-ls", "p w", "--processes", "3", "-n", "-5", "-P", "a b", "-Pc", "--unsafe", "--", "-x", "y"],
    )

    assert told == [
        (["--number=-5", "--path=a b", "--path=c", "--loud", "--unsafe", "--", "-x", "y"], {"SECRET": "p w"})
    ]


def test_what_cannot_be_used_is_said_once_and_nothing_is_started(url: str, invoke: Invoke) -> None:
    cases = {
        ("--processes", "0"): "processes=0 must be an integer from 1 to 1,000",
        ("--processes", "2", "--lease", "5x"): "lease='5x' is not a duration",
        ("--processes", "2", "-n", "x" * 63): "worker name",
        ("--processes", "2", "--max-rss", "1M"): "max_rss='1M' is too small",
        ("--processes", "2", "-P", "/no/such/folder"): "no such folder",
    }
    for args, message in cases.items():
        result = invoke("worker", *args)

        assert result.exit_code == 2, args
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_redis_that_is_not_there_is_one_line_and_exit_4(invoke: Invoke) -> None:
    result = invoke("worker", "--processes", "2", "-u", f"redis://127.0.0.1:{free_port()}")

    assert result.exit_code == 4
    assert len(result.stderr.splitlines()) == 1
