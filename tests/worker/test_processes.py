"""`executor="process"`: what a job finds in a child process, and what comes back from there."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import pytest

from aqueue import Job, JobFailed, Queue, Retry, SettingsError, Worker
from aqueue.connection import Namespace
from aqueue.worker.child_output import MARK
from tests.support import wait_until
from tests.worker import process_jobs
from tests.worker.hands import burst, last_line, record, working


@pytest.fixture
def processes(url: str) -> Queue:
    """A queue whose jobs run in child processes."""
    return Queue("default", url, executor="process")


async def test_functions_of_both_kinds_run_in_one_warm_child(processes: Queue) -> None:
    async with working(processes, max_children=1):
        jobs = [
            await processes.enqueue(process_jobs.pid),
            await processes.enqueue(process_jobs.pid_of_coroutine),
            await processes.enqueue(process_jobs.pid),
        ]
        children = [await job.wait(20) for job in jobs]

    assert len(set(children)) == 1
    assert children[0] != os.getpid()
    with pytest.raises(ProcessLookupError):  # it ends with the worker
        os.kill(children[0], 0)


async def test_more_jobs_than_children_wait_for_one_and_their_time_does_not_run(
    processes: Queue, tmp_path: Any
) -> None:
    async with working(processes, max_children=1):
        holding = await processes.enqueue(process_jobs.hold, str(tmp_path))
        await wait_until((tmp_path / "begun").exists, timeout=20)
        waiting = await processes.enqueue(process_jobs.add, 1, 2, job_timeout=0.2)
        also_waiting = await processes.enqueue(process_jobs.add, 3, 4)
        await wait_until(lambda: _has_started(waiting))
        await also_waiting.cancel()
        await wait_until(lambda: _is(also_waiting, "canceled"))
        (tmp_path / "go").touch()

        assert await holding.wait(20) == "went"
        assert await waiting.wait(20) == 3


async def _has_started(job: Job[Any]) -> bool:
    return await _is(job, "started")


async def _is(job: Job[Any], status: str) -> bool:
    return await job.get_status() == status


async def test_a_child_has_an_empty_stdin_a_group_of_its_own_and_no_secret_on_its_command_line(
    server: Any, namespace: str
) -> None:
    queue = Queue("default", server.url, namespace=namespace, executor="process")
    job = await queue.enqueue(process_jobs.surroundings)
    await burst(queue)
    found = await job.wait(0)

    assert server.url not in found.pop("command")
    assert found == {"stdin": "", "argv": [], "pgid is pid": True, "main thread": True}


async def test_a_job_sees_itself_and_writes_its_meta(processes: Queue) -> None:
    who = await processes.enqueue(process_jobs.who)
    plain = await processes.enqueue(process_jobs.save_meta)
    awaited = await processes.enqueue(process_jobs.save_meta_awaited)
    more = await processes.enqueue(process_jobs.enqueue_another, "another")
    await burst(processes, max_children=1)

    assert await who.wait(0) == (who.id, (), "process")
    assert [await job.get_meta() for job in (plain, awaited)] == [{"progress": 1}, {"progress": 2}]
    assert (await Job.fetch(await more.wait(0))).origin == "another"


async def test_what_it_raises_comes_back_as_text_without_frames_of_ours(processes: Queue) -> None:
    jobs = [
        await processes.enqueue(function, "it is broken")
        for function in (process_jobs.fail, process_jobs.fail_awaited)
    ]
    await burst(processes, max_children=1)

    for job in jobs:
        assert await last_line(job) == "tests.worker.process_jobs.OwnError: it is broken"
        assert job.exc_info is not None
        assert "child.py" not in job.exc_info
        with pytest.raises(JobFailed) as caught:
            await job.wait(0)
        assert (caught.value.type, caught.value.message) == ("OwnError", "it is broken")


async def test_a_retry_policy_knows_the_class_by_its_name_and_those_above(
    processes: Queue, space: Namespace
) -> None:
    policies = [
        Retry(max=1, on=(ValueError,)), Retry(max=1, on=(KeyError,)),
        Retry(max=1, not_on=(process_jobs.OwnError,)), Retry(max=1),
    ]  # fmt: skip
    jobs = [await processes.enqueue(process_jobs.fail, "x", retry=policy) for policy in policies]
    dead = await processes.enqueue(process_jobs.exit_at_once, 1, retry=Retry(max=1, on=("JobProcessDied",)))
    await burst(processes, max_children=1)

    assert [(await record(job, space)).attempts for job in jobs] == [1, 0, 0, 1]
    assert (await record(dead, space)).attempts == 1


async def test_an_exit_is_an_exception_also_in_a_child_task(processes: Queue) -> None:
    exits = [
        await processes.enqueue(process_jobs.exit_with, 3),
        await processes.enqueue(process_jobs.exit_in_child_task),
    ]
    await burst(processes, max_children=1)

    assert [await last_line(job) for job in exits] == ["SystemExit: 3", "SystemExit: 5"]


async def test_what_cannot_be_stored_fails_without_a_retry(queue: Queue, space: Namespace) -> None:
    small = Queue("default", max_job_bytes=2_000, executor="process")
    retry = Retry(max=3)
    odd = await small.enqueue(process_jobs.give_unencodable, retry=retry)
    large = await small.enqueue(process_jobs.give_bytes, 5_000, retry=retry)
    add: Any = process_jobs.add
    unread = await queue.enqueue(add, _Fickle(), 1, retry=retry, executor="process")
    await burst(small, max_children=1)

    assert "cannot be encoded" in await last_line(odd)
    assert await last_line(large) == (
        f"aqueue.errors.PayloadError: the result of job '{large.id}' has 5,018 bytes, "
        "more than the 2,000 allowed"
    )
    assert "cannot be decoded" in await last_line(unread)
    assert [(await record(job, space)).attempts for job in (odd, large, unread)] == [0, 0, 0]


class _Fickle:
    def __reduce__(self) -> Any:
        return int, ("no number",)


async def test_large_results_and_arguments_pass(url: str) -> None:
    queue = Queue("default", url, max_job_bytes=20_000_000, executor="process")
    job = await queue.enqueue(process_jobs.give_bytes, 9_000_000)
    other = await queue.enqueue(len, b"y" * 9_000_000)
    await burst(queue, max_children=1)

    assert len(await job.wait(0)) == 9_000_000
    assert await other.wait(0) == 9_000_000


async def test_an_unknown_function_is_left_to_other_workers(processes: Queue, space: Namespace) -> None:
    job = await processes.enqueue("tests.worker.process_jobs.no_such_function")
    broken = await processes.enqueue("tests.worker.broken_module.function")
    await burst(processes, max_children=1)

    stored = await record(job, space)
    assert (stored.status, stored.misses) == ("scheduled", 1)
    assert (await broken.get_status()) == "failed"


async def test_prints_and_logs_come_out_at_the_worker_with_the_job(
    processes: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = await processes.enqueue(process_jobs.say, "first", "esc\x1b[31m", "ü", "x" * 10_000)
    cut = await processes.enqueue(process_jobs.say_without_newline, "no end")
    logged = await processes.enqueue(process_jobs.log, "two\nlines")
    in_c = await processes.enqueue(process_jobs.speak_to_c, "from C")
    await burst(processes, max_children=1)

    lines = [(name, level, text) for name, level, text in caplog.record_tuples if name != "aqueue.worker"]
    printed = [text for name, level, text in lines if (name, level) == ("aqueue.job", logging.INFO)]
    assert printed == [
        f"job {said.id}: first", f"job {said.id}: esc\\x1b[31m", f"job {said.id}: ü",
        f"job {said.id}: {'x' * 4_000}", f"job {said.id}: to stderr", f"job {cut.id}: no end",
        f"job {in_c.id}: from C",
    ]  # fmt: skip
    records = [(level, text) for name, level, text in lines if name == "tests.app"]
    assert records[:3] == [
        (logging.WARNING, f"job {logged.id}: two"),
        (logging.WARNING, f"job {logged.id}: lines"),
        (logging.ERROR, f"job {logged.id}: it went wrong"),
    ]
    assert records[-1][1].endswith("OwnError: within")


async def test_a_printed_line_that_looks_like_a_log_record_is_made_harmless_all_over(
    processes: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    said = await processes.enqueue(process_jobs.say, f"{MARK}30 na\x1b[2Jme esc\x1b[31m")
    await burst(processes, max_children=1)

    assert ("na\\x1b[2Jme", logging.WARNING, f"job {said.id}: esc\\x1b[31m") in caplog.record_tuples


async def test_a_flood_of_lines_is_counted_and_left_out(
    processes: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aqueue.job")
    await processes.enqueue(process_jobs.say_much, 50_000)
    await burst(processes, max_children=1)

    assert len(caplog.records) < 20_000
    left_out = [text for _, _, text in caplog.record_tuples if "left out" in text]
    assert left_out


async def test_the_call_decides_before_the_queue_and_the_queue_before_the_worker(
    url: str, namespace: str
) -> None:
    processes, threads = Queue("p", executor="process"), Queue("t", executor="thread")
    said = [
        await processes.enqueue(process_jobs.pid),
        await processes.enqueue(process_jobs.pid, executor="thread"),
        await threads.enqueue(process_jobs.pid, executor="process"),
        await threads.enqueue(process_jobs.pid),
        await Queue("n").enqueue(process_jobs.pid),
    ]
    await burst([processes, threads, "n"], executor="process", max_children=1)
    here = [await job.wait(0) == os.getpid() for job in said]

    assert here == [False, True, False, True, False]
    assert [job.executor for job in said] == ["process", "thread", "process", "thread", None]


async def test_the_decorator_decides_after_the_call_and_before_the_queue(url: str, namespace: str) -> None:
    threads = Queue("p", executor="thread")
    said = [
        await process_jobs.decorated_pid.delay(),
        await threads.enqueue(process_jobs.decorated_pid),
        await threads.enqueue(process_jobs.decorated_pid, executor="thread"),
        await process_jobs.decorated_pid.options(executor="thread").delay(),
    ]
    await burst(threads, max_children=1)

    assert [await job.wait(0) == os.getpid() for job in said] == [False, False, True, True]


async def test_a_job_that_is_made_first_takes_the_queues_executor(processes: Queue) -> None:
    plain = await processes.enqueue_job(Job.create(process_jobs.pid))
    own = await processes.enqueue_job(Job.create(process_jobs.pid, executor="thread"))

    assert [plain.executor, own.executor] == ["process", "thread"]


async def test_a_coroutine_function_is_refused_for_threads_and_by_name_runs_as_a_task(queue: Queue) -> None:
    with pytest.raises(SettingsError, match="a coroutine function"):
        await queue.enqueue(process_jobs.pid_of_coroutine, executor="thread")
    job = await queue.enqueue("tests.worker.process_jobs.pid_of_coroutine", executor="thread")
    await burst(queue)

    assert await job.wait(0) == os.getpid()


@pytest.mark.parametrize("value", ["fork", "", 1, True])
async def test_an_unknown_executor_is_refused_everywhere(queue: Queue, value: Any) -> None:
    for make in (
        lambda: Queue("q", executor=value),
        lambda: Worker("q", executor=value),
        lambda: queue.options(executor=value),
        lambda: Job.create(process_jobs.pid, executor=value),
    ):
        with pytest.raises(SettingsError, match="executor="):
            make()


async def test_a_record_with_an_unknown_executor_fails_as_damaged(queue: Queue, db: Any) -> None:
    job = await queue.enqueue(process_jobs.pid)
    db.hset(queue.space.keys.job(job.id), "executor", "elsewhere")
    await burst(queue)

    assert "is damaged" in await last_line(job)


class _Unpicklable:
    """Works in this process only."""

    def dumps(self, value: Any) -> bytes:
        return repr(value).encode()

    def loads(self, data: bytes) -> Any:
        return eval(data)

    def __reduce__(self) -> Any:
        raise TypeError("cannot go anywhere")


class _Unreadable(_Unpicklable):
    def __reduce__(self) -> Any:
        return int, ("no number",)


@pytest.mark.parametrize(
    ("serializer", "reason"), [(_Unpicklable(), "cannot be pickled"), (_Unreadable(), "cannot load")]
)
async def test_a_serializer_that_stays_here_is_named(url: str, serializer: Any, reason: str) -> None:
    queue = Queue("default", url, serializer=serializer, executor="process")
    job = await queue.enqueue(process_jobs.add, 1, 2)
    await burst(queue)

    line = await last_line(job)
    assert 'executor="process" cannot be used here' in line
    assert reason in line


@pytest.mark.parametrize(
    ("program", "reason"),
    [("/no/such/python", "/no/such/python"), ("/bin/false", "ended with exit code 1, before it was ready")],
)
async def test_a_child_that_cannot_be_started_fails_the_job_and_says_why(
    processes: Queue, space: Namespace, monkeypatch: pytest.MonkeyPatch, program: str, reason: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    job = await processes.enqueue(process_jobs.add, 1, 2, retry=Retry(max=1))
    await burst(processes)

    assert reason in await last_line(job)
    assert (await record(job, space)).attempts == 1
