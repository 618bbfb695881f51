"""The pool of child processes: when they come and go, and what they are told."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, Queue
from aqueue.worker.child_process import ChildProcess
from tests.security.app import tasks as listed
from tests.support import wait_until
from tests.worker import process_jobs
from tests.worker.hands import burst, record, working
from tests.worker.test_process_ends import has_ended, told

ROOT = Path(__file__).parents[2]

#: No `if __name__ == "__main__"`: a child that imported it would start a worker, too.
UNGUARDED = """
import asyncio, os, sys
from aqueue import Queue, Worker
from tests.worker import process_jobs

async def main():
    queue = Queue(executor="process")
    async with queue, Worker([queue]).running():
        first = await queue.enqueue(process_jobs.pid)
        print(await first.wait(20) != os.getpid())
        await (await queue.enqueue(process_jobs.say, "hello")).wait(20)

asyncio.run(main())
"""


@pytest.fixture
def processes(url: str) -> Queue:
    """A queue whose jobs run in child processes."""
    return Queue("default", url, executor="process")


async def test_jobs_run_in_several_children_at_once_and_not_in_more_than_allowed(
    processes: Queue, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    async with working(processes, max_children=2):
        jobs: list[Job[str]] = []
        for folder in folders:
            folder.mkdir()
            jobs.append(await processes.enqueue(process_jobs.hold, str(folder)))
        pids = [await told(folder, "begun") for folder in folders[:2]]
        assert not (folders[2] / "begun").exists()
        for folder in folders:
            (folder / "go").touch()
        assert [await job.wait(20) for job in jobs] == ["went"] * 3

    assert len(set(pids)) == 2
    assert await told(folders[2], "begun") in pids


async def test_a_child_is_replaced_after_many_jobs(processes: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aqueue.worker.children.MAX_JOBS", 2)
    jobs = [await processes.enqueue(process_jobs.pid) for _ in range(3)]
    await burst(processes, max_children=1)

    first, second, third = [await job.wait(0) for job in jobs]
    assert first == second != third


async def test_a_child_without_work_is_ended(processes: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aqueue.worker.children.MAX_IDLE", 0.1)
    async with working(processes):
        pid = await (await processes.enqueue(process_jobs.pid)).wait(20)
        await has_ended(pid)
        other = await (await processes.enqueue(process_jobs.pid)).wait(20)

    assert other != pid


async def test_a_child_that_dies_with_a_job_it_had_not_taken_costs_nothing(processes: Queue) -> None:
    async with working(processes, max_children=1):
        pid = await (await processes.enqueue(process_jobs.pid)).wait(20)
        os.kill(pid, signal.SIGSTOP)  # it reads nothing more
        job = await processes.enqueue(process_jobs.pid)
        await wait_until(lambda: _is_started(job))
        os.kill(pid, signal.SIGKILL)

        assert await job.wait(20) != pid
    assert (await record(job, processes.space)).attempts == 0


async def _is_started(job: Job[Any]) -> bool:
    return await job.get_status() == "started"


async def test_keys_and_the_allow_list_hold_in_the_child(url: str) -> None:
    queue = Queue("default", url, signing_key="k" * 32, executor="process")
    job = await queue.enqueue(listed.double, 3)
    other = await queue.enqueue(process_jobs.pid)
    await burst(queue, allow=["tests.security.app"], max_children=1)

    assert await job.wait(0) == 6
    assert await other.get_status() != "finished"


def test_a_program_without_a_guard_runs_them_and_prints_without_a_logging_setup(url: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.run(
        [sys.executable, "-W", "error", "-c", UNGUARDED],
        capture_output=True, text=True, timeout=28, env=environment,
    )  # fmt: skip

    assert (program.stdout, program.returncode) == ("True\n", 0), program.stderr
    lines = program.stderr.splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["hello", "to stderr"]
    assert all(line.startswith("job ") for line in lines)


@pytest.mark.parametrize("free", range(8))
async def test_where_files_run_out_a_child_that_is_not_started_keeps_none(free: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = _open_files()
    limit = [number for number in range(soft) if number not in before][free]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            ChildProcess()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert _open_files() == before


def _open_files() -> set[int]:
    return {int(name) for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}")}
