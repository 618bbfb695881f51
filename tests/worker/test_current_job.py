"""`get_current_job()`: in the job, its child tasks and its threads, while it runs and after."""

from __future__ import annotations

from aqueue import Job, Queue, get_current_job
from aqueue.connection import Namespace
from tests.support import wait_until
from tests.worker import jobs
from tests.worker.hands import burst, record, take_away, working
from tests.worker.jobs import Probe


def test_outside_a_job_there_is_none() -> None:
    assert get_current_job() is None


async def test_a_coroutine_its_child_task_and_its_thread_see_their_job(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.look_around, probe_name)
    await burst(queue)

    assert [*probe.notes, await job.wait(0)] == [job.id] * 4
    assert get_current_job() is None


async def test_a_plain_function_sees_its_job_in_its_thread(queue: Queue) -> None:
    job = await queue.enqueue(jobs.look_around_in_thread)
    await burst(queue)

    assert await job.wait(0) == (job.id, "started", ())


async def test_jobs_that_run_together_see_each_their_own(queue: Queue, probe: Probe, probe_name: str) -> None:
    several = [await queue.enqueue(jobs.look_around, probe_name) for _ in range(5)]
    await burst(queue)

    assert [await job.wait(0) for job in several] == [job.id for job in several]


async def test_the_record_says_who_runs_it(queue: Queue, probe: Probe, probe_name: str) -> None:
    async with working(queue, name="anna"):
        job = await queue.enqueue(jobs.hold, probe_name)
        await wait_until(lambda: probe.running)
        await job.refresh()

        assert (job.status, job.worker_name, job.started_at is not None) == ("started", "anna", True)
        probe.open()


async def test_meta_saved_inside_a_job_can_be_read_outside(queue: Queue) -> None:
    job = await queue.enqueue(jobs.save_progress, meta={"user": 7})
    await burst(queue)

    assert await job.get_meta() == {"user": 7, "progress": 50}


async def test_a_child_that_outlives_its_job_cannot_write_to_it(
    queue: Queue, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.leave_a_child, probe_name)
    await burst(queue)
    probe.open()
    await wait_until(lambda: probe.notes)

    assert probe.notes == [(job.id, "LeaseLost")]
    assert await job.get_meta() == {}


async def test_a_fenced_execution_cannot_write_while_another_one_runs(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    job = await queue.enqueue(jobs.write_behind_the_door, probe_name)
    async with working(queue, lease=30):
        await wait_until(lambda: probe.running)
        await take_away(space, job)
        await wait_until(lambda: probe.starts == 2)  # the same worker claims it again
        probe.open()
        await job.wait(5)

    assert sorted(note[0] for note in probe.notes) == ["LeaseLost", "saved"]
    stored = await record(job, space)
    assert (stored.lost, stored.fence) == (1, 2)
    [writer] = [me for word, me in probe.notes if word == "saved"]
    assert (await Job.fetch(job.id)).meta == {"written_by": writer}


async def test_the_fencing_token_rises_with_each_execution_of_an_id(queue: Queue) -> None:
    job = await queue.enqueue(jobs.fencing_token_in_thread, job_id="again")
    assert job.fencing_token is None
    await burst(queue)
    assert await job.wait(0) == (1, 1)
    await job.requeue()
    await burst(queue)
    assert await job.wait(0) == (2, 2)
    job = await queue.enqueue(jobs.fencing_token_in_thread, job_id="again")
    await burst(queue)

    assert await job.wait(0) == (3, 3)
    assert job.fencing_token is None


async def test_an_execution_that_lost_its_job_still_has_its_own_lower_fencing_token(
    queue: Queue, space: Namespace, probe: Probe, probe_name: str
) -> None:
    async with working(queue):
        job = await queue.enqueue(jobs.note_fencing_token, probe_name)
        await wait_until(lambda: probe.running)
        await take_away(space, job)
        await wait_until(lambda: probe.starts == 2)
        probe.open()
        await job.wait(5)
        await wait_until(lambda: not probe.running)

    assert sorted(probe.notes) == [1, 2]
