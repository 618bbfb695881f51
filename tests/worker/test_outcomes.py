"""What becomes of a job: how its function ends decides its status, its result and its traceback."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import JobFailed, Queue, Retry
from aqueue.connection import Namespace
from tests import tasks
from tests.worker import jobs
from tests.worker.hands import burst, last_line, record, status
from tests.worker.jobs import Probe


async def run(queue: Queue, func: Any, *args: Any, **options: Any) -> Any:
    """Enqueue, run, and read the job again."""
    job = await queue.enqueue(func, *args, **options)
    await burst(queue)
    await job.refresh()
    return job


# -- returning


@pytest.mark.parametrize("value", [0, False, "", [], {"a": (1, 2)}, b"\x00\xff", ["long"] * 1000])
async def test_what_a_function_returns_is_kept(queue: Queue, value: Any) -> None:
    job = await run(queue, jobs.give, value)

    assert (job.is_finished, job.result, job.exc_info) == (True, value, None)


async def test_a_function_that_returns_none_finishes_without_a_stored_result(
    queue: Queue, space: Namespace, db: Any
) -> None:
    job = await run(queue, jobs.give_nothing)

    assert (job.is_finished, job.result) == (True, None)
    assert not db.exists(space.keys.result(job.id))


async def test_a_plain_function_runs_in_a_thread_and_its_value_is_kept(queue: Queue) -> None:
    job = await run(queue, tasks.say_hello, "thread")

    assert (job.is_finished, job.result) == (True, "Hello, thread!")


async def test_methods_run_on_a_copy_of_their_instance(queue: Queue) -> None:
    greeter = jobs.Greeter("Hi")
    values = [
        await queue.enqueue(greeter.greet, "Ann"),
        await queue.enqueue(greeter.greet_plainly, "Bob"),
        await queue.enqueue(jobs.Greeter.make, "Ho"),
        await queue.enqueue(jobs.Greeter.shout, "ada"),
    ]
    await burst(queue)

    assert [await job.wait(5) for job in values] == ["Hi, Ann", "Hi, Bob", "Ho", "ADA"]


async def test_an_object_with_an_async_call_is_awaited(queue: Queue) -> None:
    job = await run(queue, "tests.worker.jobs.an_async_callable", 1)

    assert job.result == 2


async def test_a_result_that_cannot_be_encoded_fails_the_job_without_retry(queue: Queue) -> None:
    job = await run(queue, jobs.give_unencodable, retry=Retry(max=3))

    assert "PayloadError: the result of job" in await last_line(job)
    assert "cannot be encoded" in await last_line(job)
    assert job.retries_left == 3


async def test_a_result_over_the_size_limit_fails_the_job_without_retry(url: str) -> None:
    queue = Queue("small", connection=url, max_job_bytes=1_000)
    job = await run(queue, jobs.give_bytes, 2_000, retry=1)

    assert "bytes, more than the 1,000 allowed" in await last_line(job)
    assert job.retries_left == 1


# -- raising


async def test_a_coroutine_that_raises_fails_with_its_traceback(queue: Queue) -> None:
    job = await run(queue, jobs.fail_with, "ValueError", "boom")

    assert job.exc_info.startswith("Traceback (most recent call last):\n")
    assert await last_line(job) == "ValueError: boom"
    assert (job.result, job.ended_at is not None) == (None, True)


@pytest.mark.parametrize("func", [jobs.fail, jobs.fail_in_thread])
async def test_the_traceback_begins_in_the_users_code(queue: Queue, func: Any) -> None:
    job = await run(queue, func, "base")

    first_frame = job.exc_info.splitlines()[1]
    assert "tests/worker/jobs.py" in first_frame
    assert "aqueue/worker" not in job.exc_info
    assert "anyio" not in job.exc_info


async def test_arguments_that_do_not_fit_fail_the_job(queue: Queue) -> None:
    job = await run(queue, tasks.add, 1)

    assert (await last_line(job)).startswith("TypeError: add() missing 1 required positional argument")


async def test_the_cause_of_an_exception_is_told(queue: Queue) -> None:
    job = await run(queue, jobs.fail_deeply)

    assert "OSError: the first" in job.exc_info
    assert "The above exception was the direct cause" in job.exc_info
    assert await last_line(job) == "ValueError: the second"


async def test_an_exception_group_is_told_with_its_members(queue: Queue) -> None:
    job = await run(queue, jobs.fail_in_group)

    assert "ValueError: one of them" in job.exc_info
    assert await last_line(job) == "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"


@pytest.mark.parametrize("func", [jobs.fail, jobs.fail_in_thread])
@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("exit", "SystemExit: 3"),
        ("interrupt", "KeyboardInterrupt"),
        ("generator", "GeneratorExit: closed"),
        ("base", "OwnBaseError: from the base"),
        ("cancelled", "CancelledError: nobody asked"),
        ("muted", "MutedError: (its message cannot be shown)"),
        ("surrogate", "ValueError: lone \\ud800 surrogate"),
    ],
)
async def test_no_exception_of_a_job_ends_the_worker(queue: Queue, func: Any, kind: str, last: str) -> None:
    job = await queue.enqueue(func, kind)
    after = await queue.enqueue(tasks.add, 1, 2)

    await burst(queue, concurrency=1)

    assert (await last_line(job)).endswith(last)
    assert await status(after) == "finished"


@pytest.mark.parametrize("func", [jobs.fail, jobs.fail_in_thread])
async def test_stop_iteration_fails_the_job(queue: Queue, func: Any) -> None:
    job = await run(queue, func, "stop")

    assert "StopIteration: no more" in job.exc_info
    assert job.is_failed


async def test_the_name_and_message_of_the_exception_reach_who_waits(queue: Queue) -> None:
    job = await run(queue, jobs.fail_with, "KeyError", "missing")

    with pytest.raises(JobFailed) as caught:
        await job.wait(0)
    assert (caught.value.type, caught.value.message) == ("KeyError", "'missing'")
    assert caught.value.traceback == job.exc_info


async def test_a_failed_job_lies_in_the_failed_registry_alone(queue: Queue) -> None:
    job = await run(queue, jobs.fail_with, "ValueError", "boom")

    assert await queue.failed_job_registry.get_job_ids() == [job.id]
    assert await queue.started_job_registry.count() == 0


# -- what a worker cannot run


async def test_arguments_that_cannot_be_decoded_fail_the_job_at_once(
    queue: Queue, space: Namespace, db: Any
) -> None:
    job = await queue.enqueue(tasks.add, 1, 2, retry=3)
    db.hset(space.keys.job(job.id), "data", b"\x80\x05not a pickle")
    await burst(queue)

    assert f"PayloadError: the arguments of job '{job.id}' cannot be decoded" in await last_line(job)
    assert job.retries_left == 3


@pytest.mark.parametrize("data", [b"I42\n.", b"N."])
async def test_arguments_that_are_no_arguments_fail_the_job_at_once(
    queue: Queue, space: Namespace, db: Any, data: bytes
) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)
    db.hset(space.keys.job(job.id), "data", data)
    await burst(queue)

    assert (await last_line(job)).endswith("are neither a list nor positional and keyword arguments")


async def test_a_record_without_arguments_fails_the_job_at_once(
    queue: Queue, space: Namespace, db: Any
) -> None:
    job = await queue.enqueue(tasks.add, 1, 2)
    db.hdel(space.keys.job(job.id), "data")
    await burst(queue)

    assert (await last_line(job)).endswith("are missing")


async def test_a_function_that_is_unknown_here_is_left_to_others_for_a_while(
    queue: Queue, space: Namespace
) -> None:
    job = await queue.enqueue("tests.worker.jobs.no_such_function", retry=1)
    await burst(queue)

    stored = await record(job, space)
    assert (stored.status, stored.misses, stored.releases, stored.attempts) == ("scheduled", 1, 0, 0)


@pytest.mark.parametrize(("misses", "seconds"), [(0, 1), (1, 2), (2, 4), (4, 16), (5, 30), (22, 30)])
async def test_the_wait_for_an_unknown_function_grows(
    queue: Queue, space: Namespace, db: Any, misses: int, seconds: int
) -> None:
    job = await queue.enqueue("no_such_module.function")
    db.hset(space.keys.job(job.id), "misses", misses)
    before = int(db.time()[0]) * 1000
    await burst(queue)

    due = db.zscore(space.keys.registry("scheduled", "default"), job.id)
    assert seconds * 1000 <= due - before < seconds * 1000 + 2_500


async def test_an_unknown_function_fails_the_job_when_nobody_knew_it_for_ten_minutes(
    queue: Queue, space: Namespace, db: Any
) -> None:
    job = await queue.enqueue("no_such_module.function", retry=3)
    db.hset(space.keys.job(job.id), "misses", 24)
    await burst(queue)

    assert (await last_line(job)).startswith("UnknownFunction: no worker found no_such_module.function")


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("tests.worker.broken_module.f", "ValueError: this module does not like to be imported"),
        ("tests.worker.exiting_module.f", "SystemExit: not here"),
        (
            "tests.worker.importing_module.f",
            "ModuleNotFoundError: No module named 'a_module_that_does_not_exist'",
        ),
    ],
)
async def test_a_module_that_cannot_be_imported_fails_the_job_with_that_traceback(
    queue: Queue, path: str, last: str
) -> None:
    job = await run(queue, path)

    assert await last_line(job) == last
    assert path.rpartition(".")[0].replace(".", "/") in job.exc_info


@pytest.mark.parametrize("path", ["tests.worker.jobs.NOT_CALLABLE", "tests.worker.jobs.ERRORS"])
async def test_a_name_that_cannot_be_called_fails_the_job(queue: Queue, path: str) -> None:
    job = await run(queue, path)

    assert f"SettingsError: {path} is a " in await last_line(job)
    assert (await last_line(job)).endswith(", not a function")


# -- contexts


async def test_jobs_do_not_see_each_others_context_variables(queue: Queue) -> None:
    values = [await queue.enqueue(jobs.set_variable, f"value {number}") for number in range(3)]
    await burst(queue, concurrency=1)

    assert [await job.wait(5) for job in values] == ["untouched"] * 3
    assert jobs.variable.get() == "untouched"


async def test_a_child_task_that_goes_on_does_not_keep_the_job_from_finishing(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await run(queue, jobs.leave_a_child, probe_name)

    assert job.result == "returned"
    assert probe.notes == []
