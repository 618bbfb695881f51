"""How child processes end: with their job, their worker, or for reasons of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aqueue import Job, JobProcessDied, JobTimeout, Queue
from aqueue.connection import Namespace
from aqueue.worker import children
from tests.chaos.procs import Fleet
from tests.support import wait_until
from tests.worker import process_jobs
from tests.worker.hands import burst, last_line, make_worker, record, start, status, take_away, working


@pytest.fixture
def processes(url: str) -> Queue:
    """A queue whose jobs run in child processes."""
    return Queue("default", url, executor="process")


async def told(folder: Path, name: str) -> str:
    """What a job has noted, once it has."""
    await wait_until((folder / name).exists, timeout=25, description=name)
    return (folder / name).read_text()


async def warm_up(queue: Queue) -> None:
    """Let a child start and import the jobs, which may take long on a busy machine."""
    await (await queue.enqueue(process_jobs.pid)).wait(25)


def is_running(pid: int) -> bool:
    """Whether this process runs; one that has ended may wait for its parent to notice."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def has_ended(*pids: int) -> None:
    await wait_until(lambda: not any(map(is_running, pids)), description=f"the end of {pids}")


async def test_a_death_of_the_process_is_an_outcome_that_names_the_signal(processes: Queue) -> None:
    deaths = {
        await processes.enqueue(process_jobs.exit_at_once, 3): "ended with exit code 3",
        await processes.enqueue(process_jobs.kill_self, "SIGKILL"): "was killed by SIGKILL (out of memory?)",
        await processes.enqueue(process_jobs.crash): "was killed by SIGSEGV",
    }
    after = await processes.enqueue(process_jobs.add, 1, 2)
    await burst(processes, max_children=1)

    for job, how in deaths.items():
        assert await last_line(job) == f"JobProcessDied: job '{job.id}': its process {how}"
        with pytest.raises(JobProcessDied):
            await job.wait(0)
    assert await after.wait(0) == 3


@pytest.mark.parametrize("function", [process_jobs.hold, process_jobs.hold_awaited])
async def test_a_timeout_interrupts_the_job_which_cleans_up(
    processes: Queue, tmp_path: Path, function: Any
) -> None:
    async with working(processes, cleanup=10):
        await warm_up(processes)
        job = await processes.enqueue(function, str(tmp_path), job_timeout=1.5)
        with pytest.raises(JobTimeout):
            await job.wait(20)

    assert (await told(tmp_path, "interrupted")).endswith("timeout")
    await job.refresh()
    assert job.exc_info is not None
    assert f"in {function.__name__}" in job.exc_info
    assert "ran longer than its timeout of 1.5 s" in job.exc_info.splitlines()[-1]


async def test_what_does_not_end_when_interrupted_is_killed_with_all_that_it_has_started(
    processes: Queue, tmp_path: Path
) -> None:
    async with working(processes, concurrency=1, cleanup=0.2) as worker:
        await warm_up(processes)
        job = await processes.enqueue(process_jobs.hold_stubbornly, str(tmp_path), job_timeout=2)
        pids = [int(pid) for pid in (await told(tmp_path, "begun")).split()]
        with pytest.raises(JobTimeout):
            await job.wait(20)
        await has_ended(*pids)

        after = await processes.enqueue(process_jobs.add, 1, 2)
        assert await after.wait(20) == 3  # its slot is free again
        assert not worker.has_zombies


@pytest.mark.parametrize(("verb", "outcome"), [("stop", "stopped"), ("cancel", "canceled")])
async def test_a_request_interrupts_the_job(
    processes: Queue, tmp_path: Path, verb: str, outcome: str
) -> None:
    async with working(processes, cleanup=10):
        job = await processes.enqueue(process_jobs.look_whether_stopped, str(tmp_path))
        await told(tmp_path, "begun")
        await (job.stop() if verb == "stop" else job.cancel())
        assert await told(tmp_path, "told") == verb
        await wait_until(lambda: _is(job, outcome))


async def _is(job: Job[Any], outcome: str) -> bool:
    return await status(job) == outcome


async def test_a_shutdown_interrupts_after_the_grace_and_gives_the_job_back(
    processes: Queue, space: Namespace, tmp_path: Path
) -> None:
    async with working(processes, grace=0.2, cleanup=10):
        job = await processes.enqueue(process_jobs.hold, str(tmp_path))
        pid = int(await told(tmp_path, "begun"))

    assert await told(tmp_path, "interrupted") == "shutdown"
    stored = await record(job, space)
    assert (stored.status, stored.releases) == ("queued", 1)
    assert not is_running(pid)


async def test_what_returns_although_the_worker_shuts_down_has_finished(
    processes: Queue, tmp_path: Path
) -> None:
    async with working(processes, grace=0.2, cleanup=10):
        job = await processes.enqueue(process_jobs.go_on_when_interrupted, str(tmp_path))
        await told(tmp_path, "begun")

    assert await job.wait(0) == "returned"


async def test_a_lost_lease_ends_the_job_and_nothing_of_it_is_recorded(
    processes: Queue, space: Namespace, tmp_path: Path
) -> None:
    async with working(processes, lease=1, cleanup=10):
        job = await processes.enqueue(process_jobs.hold, str(tmp_path))
        pid = int(await told(tmp_path, "begun"))
        await take_away(space, job, to="another")
        assert await told(tmp_path, "interrupted") == "lost"
        await has_ended(pid)

    assert await status(job) == "started"


async def test_a_fenced_child_cannot_write(processes: Queue, space: Namespace, tmp_path: Path) -> None:
    async with working(processes, lease=30):
        job = await processes.enqueue(process_jobs.write_when_told, str(tmp_path))
        await told(tmp_path, "begun")
        await take_away(space, job, to="another")
        (tmp_path / "go").touch()
        await told(tmp_path, "LeaseLost")

    assert await job.get_meta() == {}


async def test_the_end_of_the_loop_releases_the_job(processes: Queue, url: str, tmp_path: Path) -> None:
    """asyncio.run() cancels all tasks at once, the jobs' own included."""

    async def program() -> str:
        own = Queue("default", url, executor="process")
        forgotten.append(asyncio.create_task(make_worker(own, cleanup=10).work()))
        job = await own.enqueue(process_jobs.hold, str(tmp_path), retry=1)
        await told(tmp_path, "begun")
        return job.id

    forgotten: list[asyncio.Task[bool]] = []
    job_id = await asyncio.to_thread(asyncio.run, program())

    stored = await record(job_id, processes.space)
    assert (stored.status, stored.releases, stored.attempts) == ("queued", 1, 0)
    await has_ended(int(await told(tmp_path, "begun")))


async def test_a_middleware_may_set_a_time_limit_of_its_own(processes: Queue, tmp_path: Path) -> None:
    async def limited(job: Job[Any], call_next: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(None if job.func_name.endswith(".pid") else 1.5):
            return await call_next()

    async with working(processes, middleware=[limited]):
        await warm_up(processes)
        job = await processes.enqueue(process_jobs.hold, str(tmp_path))
        assert await told(tmp_path, "interrupted") == "cancel"
        await wait_until(lambda: _is(job, "failed"))
    assert (await last_line(job)).startswith("TimeoutError")


async def test_an_import_can_be_interrupted(
    processes: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "holding_module.py").write_text(
        f"from tests.worker.process_jobs import hold\nhold({str(tmp_path)!r})\ndef function(): pass\n"
    )
    async with working(processes, cleanup=15):
        job = await processes.enqueue("holding_module.function")
        await told(tmp_path, "begun")
        await job.stop()
        await wait_until(lambda: _is(job, "stopped"))

    assert await told(tmp_path, "interrupted") == "stop"


async def test_cancelling_the_worker_ends_its_children(processes: Queue, tmp_path: Path) -> None:
    worker = make_worker(processes, cleanup=0.2)
    work = await start(worker)
    job = await processes.enqueue(process_jobs.hold_stubbornly, str(tmp_path))
    pids = [int(pid) for pid in (await told(tmp_path, "begun")).split()]
    work.cancel()
    with pytest.raises(BaseException):  # noqa: B017, PT011
        await work

    await has_ended(*pids)
    assert await status(job) == "queued"


async def test_an_idle_child_that_was_killed_is_replaced(processes: Queue) -> None:
    async with working(processes, max_children=1):
        pid = await (await processes.enqueue(process_jobs.pid)).wait(20)
        os.kill(pid, signal.SIGKILL)
        await has_ended(pid)
        other = await (await processes.enqueue(process_jobs.pid)).wait(20)

    assert other != pid


async def test_sigterm_to_the_child_alone_ends_nothing(processes: Queue, tmp_path: Path) -> None:
    async with working(processes):
        job = await processes.enqueue(process_jobs.hold, str(tmp_path))
        os.kill(int(await told(tmp_path, "begun")), signal.SIGTERM)
        (tmp_path / "go").touch()

        assert await job.wait(20) == "went"


async def test_a_killed_worker_leaves_no_process(
    processes: Queue, url: str, namespace: str, tmp_path: Path
) -> None:
    await processes.enqueue(process_jobs.hold_stubbornly, str(tmp_path))
    with Fleet(url, namespace, tmp_path) as fleet:
        worker = fleet.spawn()
        pids = [int(pid) for pid in (await told(tmp_path, "begun")).split()]
        worker.kill()
        await has_ended(*pids)


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"type": 1, "message": None, "traceback": 5, "names": [7]},
        {"type": "E", "message": "\ud800", "traceback": "\ud800", "names": ["\ud800"]},
        {"kind": "unknown", "path": None},
        {"kind": ["nobody knows"]},
    ],
    ids=str,
)
async def test_what_a_jobs_code_sends_in_the_childs_place_costs_no_slot(
    processes: Queue, head: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "MAX_JOBS", 1)  # the other job gets a child that does not lie
    job = await processes.enqueue(process_jobs.forge, **head)
    other = await processes.enqueue(process_jobs.add, 1, 2)

    async with working(processes, concurrency=1, max_children=1):
        assert await other.wait(20) == 3
    assert await job.get_status() in ("failed", "scheduled")
