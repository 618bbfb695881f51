"""S07 to S10: with a key, nothing that somebody else wrote, changed or copied is decoded, imported or run."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aqueue import BadSignature, Job, Queue, Retry, Worker
from aqueue._core import seal as seal_module
from aqueue._core.names import new_nonce
from aqueue._core.options import check_options
from aqueue._core.record import CHANGING, JobRecord
from aqueue._core.seal import MARK, Seal
from aqueue._core.signing import Keyring, check_keys
from aqueue.draft import Pattern, new_job
from aqueue.failed import get_failed_queue
from tests.security import jobs
from tests.security.conftest import KEY
from tests.security.gadgets import gadgets
from tests.support import age
from tests.transitions.lua_source import LIBRARIES, SCRIPTS, calls, library, source
from tests.worker.hands import burst, last_line, record, recover, take_away

OTHER = "other-other-other-other"


def stored(arg: int = 1, *, signing_key: str | None = KEY) -> JobRecord:
    """A record as Redis holds it after an enqueue."""
    codec = Queue("q", namespace="ns", signing_key=signing_key).space.codec
    options = check_options({"job_timeout": 5, "description": "d", "retry": 1})
    drafted = Pattern(jobs.echo, options).draft(codec, (arg,), {}, job_id="a")
    new = new_job(drafted, "q", codec, nonce=new_nonce())
    pairs = zip(new.fields[::2], new.fields[1::2], strict=True)
    fields = {name: value for name, value in pairs if isinstance(name, bytes) and isinstance(value, bytes)}
    return JobRecord("a", {**fields, b"queue": b"q", b"nonce": new.nonce.encode()})


def seal(*keys: str, namespace: str = "ns") -> Seal:
    return Seal(namespace, check_keys(keys or None))


# -- what a signature covers


def test_what_was_enqueued_is_verified_and_then_trusted() -> None:
    found = stored()

    verified = seal(KEY).verified(found)

    assert not found.is_trusted
    assert verified.is_trusted
    assert verified.evolve(timeout=5).is_trusted
    assert verified.fields == found.fields


def test_without_a_key_nothing_is_stored_or_asked_for() -> None:
    found = stored(signing_key=None)

    assert b"sig" not in found.fields
    assert seal().verified(found) is found


def test_every_bit_of_every_fixed_field_counts() -> None:
    found = stored()
    fixed = {name: value for name, value in found.fields.items() if name not in CHANGING or name == b"sig"}
    assert fixed.keys() == {
        b"function",
        b"data",
        b"timeout",
        b"description",
        b"retry",
        b"queue",
        b"nonce",
        b"sig",
    }

    for name, value in fixed.items():
        for bit in range(len(value) * 8):
            flipped = bytearray(value)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(BadSignature, match="does not fit"):
                seal(KEY).verified(JobRecord("a", {**found.fields, name: bytes(flipped)}))


@pytest.mark.parametrize("scope", [("result", "a", "nonce"), ("meta", "a")], ids=str)
def test_every_bit_of_a_result_and_of_a_meta_counts(scope: tuple[str, ...]) -> None:
    wrapped = seal(KEY).wrap(b"value", *scope)
    assert seal(KEY).unwrap(wrapped, "it", *scope) == b"value"

    for bit in range(len(wrapped) * 8):
        flipped = bytearray(wrapped)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature, match=r"does not fit|is not signed"):
            seal(KEY).unwrap(bytes(flipped), "it", *scope)
    for cut in range(len(wrapped)):
        with pytest.raises(BadSignature):
            seal(KEY).unwrap(wrapped[:cut], "it", *scope)


def test_results_and_metas_are_read_while_their_key_is_known() -> None:
    old = seal(KEY).wrap(b"value", "result", "a", "nonce")

    assert seal(OTHER, KEY).unwrap(old, "it", "result", "a", "nonce") == b"value"
    with pytest.raises(BadSignature, match="unknown here"):
        seal(OTHER).unwrap(old, "it", "result", "a", "nonce")


def test_signatures_are_compared_in_constant_time() -> None:
    """S28: by the function that is made for it, and by nothing else."""
    fits = ast.parse(textwrap.dedent(inspect.getsource(Keyring.fits)))
    called = [ast.unparse(node.func) for node in ast.walk(fits) if isinstance(node, ast.Call)]
    assert "hmac.compare_digest" in called
    assert not [node for node in ast.walk(fits) if isinstance(node, ast.Compare)]
    compared = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(inspect.getsource(seal_module)))
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], ast.Is | ast.IsNot | ast.NotIn)
    ]
    assert compared == []


@pytest.mark.parametrize("field", [b"ttl", b"result_ttl", b"failure_ttl", b"priority", b"max_lost", b"new"])
def test_fields_that_were_not_there_when_it_was_signed_count(field: bytes) -> None:
    with pytest.raises(BadSignature, match="does not fit"):
        seal(KEY).verified(JobRecord("a", {**stored().fields, field: b"1"}))


@pytest.mark.parametrize("field", [b"timeout", b"description", b"retry", b"queue", b"function", b"data"])
def test_a_field_that_was_removed_counts(field: bytes) -> None:
    fields = dict(stored().fields)
    del fields[field]
    with pytest.raises(BadSignature, match="does not fit"):
        seal(KEY).verified(JobRecord("a", fields))


def test_a_signed_job_cannot_be_moved_to_another_id_or_namespace() -> None:
    with pytest.raises(BadSignature, match="job 'b' has a signature that does not fit"):
        seal(KEY).verified(JobRecord("b", stored().fields))
    with pytest.raises(BadSignature, match="does not fit"):
        seal(KEY, namespace="other").verified(stored())


def test_parts_of_two_signed_jobs_do_not_fit_together() -> None:
    one, two = stored(1), stored(2)
    for field in (b"data", b"nonce", b"sig"):
        with pytest.raises(BadSignature, match="does not fit"):
            seal(KEY).verified(JobRecord("a", {**one.fields, field: two.fields[field]}))


@pytest.mark.parametrize("signature", [b"", b"x", bytes(32), MARK, b"\xff" * 1_000])
def test_a_made_up_signature_does_not_fit(signature: bytes) -> None:
    with pytest.raises(BadSignature, match="does not fit"):
        seal(KEY).verified(JobRecord("a", {**stored().fields, b"sig": signature}))


def test_keys_are_replaced_one_program_at_a_time() -> None:
    old, new = stored(), stored(signing_key=OTHER)

    assert seal(KEY, OTHER).verified(old)
    assert seal(KEY, OTHER).verified(new)
    assert seal(OTHER, KEY).verified(old)
    assert seal(OTHER, KEY).verified(new)
    with pytest.raises(BadSignature, match="unknown here"):
        seal(OTHER).verified(old)


def test_what_scripts_change_is_not_signed() -> None:
    """Else a signed job would be refused after its first retry."""
    written = set[str]()
    for text in [*map(source, SCRIPTS), *map(library, LIBRARIES)]:
        for command, arguments in calls(text):
            key, _, rest = arguments.partition(", ")[2].partition(", ")
            if command in {"HSET", "HDEL", "HINCRBY"} and "job" in key:
                written.update(re.findall(r'"(\w+)"(?=,|$)', rest))
    values = {"queued", "scheduled", "started", "finished", "expired", "1", "0", "AbandonedJobError"}

    assert {"status", "attempts", "lost", "incarnation"} <= written
    assert {name.encode() for name in written - values} - CHANGING <= {b"nonce", b"queue"}


# -- life of a signed job


async def test_signed_jobs_run_and_bring_their_results_back(signed: Queue, db: Any) -> None:
    job = await signed.enqueue(jobs.echo, {"a": (1, 2)}, meta={"m": 1})
    await burst(signed)

    assert await job.wait(timeout=5) == {"a": (1, 2)}
    found = await record(job, signed.space)
    assert len(found.signature or b"") == 32
    assert (found.meta or b"").startswith(MARK)
    assert db.get(signed.space.keys.result(job.id)).startswith(MARK)
    fetched = await Job.fetch(job.id, signing_key=KEY)
    assert (fetched.args, fetched.meta, fetched.result) == (({"a": (1, 2)},), {"m": 1}, {"a": (1, 2)})


async def test_a_signed_job_goes_through_everything_that_may_happen(signed: Queue) -> None:
    job = await signed.enqueue_in(60, jobs.fail, "no", retry=Retry(max=1), meta={"m": 1}, ttl=600)
    await age(signed.space, seconds=61)
    await burst(signed)
    await burst(signed)
    assert await last_line(job) == "ValueError: no"
    await job.requeue()
    await take_away(signed.space, job, to="w1")
    await take_away(signed.space, job, to="w2")
    await age(signed.space, seconds=31)
    await recover(signed.space)
    await age(signed.space, seconds=31)
    await burst(signed)

    await burst(signed)

    assert await last_line(job) == "ValueError: no"
    found = await record(job, signed.space)
    assert (found.attempts, found.lost, found.incarnation) == (1, 2, 1)
    assert job.meta == {"m": 1}


async def test_saved_jobs_are_enqueued_by_whoever_has_the_key(signed: Queue) -> None:
    job = Job.create(jobs.echo, (5,), origin="first", meta={"m": 1}, signing_key=KEY)
    await job.save()
    fetched = await Job.fetch(job.id, signing_key=KEY)
    fetched.origin = "default"

    await signed.enqueue_job(fetched)
    await burst(signed)

    assert await fetched.wait(timeout=5) == 5
    assert fetched.meta == {"m": 1}


async def test_a_draft_takes_the_key_of_the_queue_that_it_is_enqueued_in(signed: Queue) -> None:
    job = Job.create(jobs.echo, (5,), meta={"m": 1})

    await signed.enqueue_job(job)
    await burst(signed)

    assert (await job.wait(timeout=5), job.meta) == (5, {"m": 1})


async def test_enqueue_many_and_reused_ids_are_signed(signed: Queue) -> None:
    datas = [Queue.prepare_data(jobs.echo, (n,), job_id=f"j{n}") for n in range(3)]
    for _ in range(2):
        made = await signed.enqueue_many(datas)
        await burst(signed)
        assert [await job.wait(timeout=5) for job in made] == [0, 1, 2]


@pytest.mark.parametrize("function", [jobs.count_runs, jobs.count_runs_in_a_thread])
async def test_meta_is_saved_and_read_inside_of_signed_jobs(
    signed: Queue, function: Callable[..., Any]
) -> None:
    job = await signed.enqueue(function)
    await burst(signed)
    await job.requeue()
    await burst(signed)

    assert await job.wait(timeout=5) == 2
    assert [result.return_value for result in await job.results()] == [2, 1]
    assert (await Job.fetch(job.id, signing_key=KEY)).meta == {"runs": 2}


async def test_signed_jobs_run_in_child_processes(url: str) -> None:
    queue = Queue("default", url, signing_key=KEY, serializer="json")
    job = await queue.enqueue(jobs.echo, (1, 2), executor="process")

    await burst(queue, allow=["tests.security"], default_timeout=60)

    assert await job.wait(timeout=5) == (1, 2)


async def test_a_worker_has_the_keys_of_its_queue_or_of_the_environment(
    signed: Queue, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await signed.enqueue(jobs.echo, 5)
    assert Worker(signed).space.codec == signed.space.codec
    assert Worker(signed, signing_key=OTHER).space.codec.seal.keys == check_keys(OTHER)
    monkeypatch.setenv("AQUEUE_SIGNING_KEY", f"{OTHER} {KEY}")

    await burst(["default"], connection=url)

    with pytest.raises(BadSignature, match="unknown here"):
        await job.wait(timeout=5)
    assert await (await Job.fetch(job.id)).return_value() == 5
    assert get_failed_queue()._space.codec.seal.keys == check_keys([OTHER, KEY])


# -- whoever can write to Redis


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """What gadgets make; it must not exist in the end."""
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


async def refused(job: Job[Any], queue: Queue) -> str:
    """What the job failed with, without having been retried."""
    await burst(queue)
    line = await last_line(job)
    assert job.retries_left == 3
    assert line.startswith("BadSignature: "), line
    return line


@pytest.mark.parametrize("part", ["unsigned", "signed"])
async def test_gadgets_in_the_arguments_never_run(signed: Queue, db: Any, canary: Path, part: str) -> None:
    made = [await signed.enqueue(jobs.forged, 1, retry=3) for _ in gadgets(canary)]
    for job, gadget in zip(made, gadgets(canary), strict=True):
        db.hset(signed.space.keys.job(job.id), "data", gadget)
        if part == "unsigned":
            db.hdel(signed.space.keys.job(job.id), "sig")
        await job.refresh()
        assert job.description == "tests.security.jobs.forged(...)"
        with pytest.raises(BadSignature):
            _ = job.args

    await burst(signed)

    for job in made:
        expected = "is not signed" if part == "unsigned" else "does not fit"
        assert expected in await last_line(job)
        assert (job.is_failed, job.retries_left) == (True, 3)


async def test_gadgets_in_results_meta_and_history_never_run(signed: Queue, db: Any, canary: Path) -> None:
    job = await signed.enqueue(jobs.echo, 1)
    await burst(signed)
    await job.requeue()
    await burst(signed)
    [entry] = db.lrange(signed.space.keys.history(job.id), 0, -1)
    assert entry == with_value(entry, entry[entry.index(MARK) :])
    for gadget in gadgets(canary):
        for forgery in (gadget, MARK + bytes(32) + gadget):
            db.set(signed.space.keys.result(job.id), forgery)
            db.hset(signed.space.keys.job(job.id), "meta", forgery)
            await job.refresh()
            for look in (lambda: job.result, lambda: job.meta):
                with pytest.raises(BadSignature):
                    look()
            for read in (job.return_value, job.latest_result, job.results, job.wait, job.get_meta):
                with pytest.raises(BadSignature):
                    await read()
            db.delete(signed.space.keys.result(job.id))
            db.lset(signed.space.keys.history(job.id), 0, with_value(entry, forgery))
            with pytest.raises(BadSignature):
                await job.results()


def with_value(entry: bytes, value: bytes) -> bytes:
    """A history entry with another last part, the result; see lib/history.lua."""
    at = 0
    for _ in range(6):
        length = entry[at:].partition(b":")[0]
        at += len(length) + 1 + int(length)
    return entry[:at] + b"%d:%s" % (len(value), value)


async def test_a_result_of_another_job_or_enqueue_is_refused(signed: Queue, db: Any) -> None:
    one, two = [await signed.enqueue(jobs.echo, n, job_id=f"j{n}", meta={"n": n}) for n in range(2)]
    await burst(signed)
    keys = signed.space.keys
    old = db.get(keys.result(one.id))
    db.set(keys.result(two.id), old)
    db.hset(keys.job(two.id), "meta", db.hget(keys.job(one.id), "meta"))

    with pytest.raises(BadSignature, match="the result of job 'j1' has a signature that does not fit"):
        await two.return_value(refresh=True)
    with pytest.raises(BadSignature, match="the meta of job 'j1' has a signature that does not fit"):
        _ = two.meta

    again = await signed.enqueue(jobs.echo, 5, job_id="j0")
    await burst(signed)
    db.set(keys.result(one.id), old)
    with pytest.raises(BadSignature, match="does not fit"):
        await again.return_value(refresh=True)
    db.set(keys.result(one.id), db.hget(keys.job(two.id), "meta"))
    with pytest.raises(BadSignature, match="does not fit"):
        await again.return_value(refresh=True)


async def test_another_function_is_neither_imported_nor_run(signed: Queue, db: Any) -> None:
    job = await signed.enqueue(jobs.echo, 1, retry=3)
    db.hset(signed.space.keys.job(job.id), "function", "tests.security.other.harmless")
    await job.refresh()
    with pytest.raises(BadSignature):
        _ = job.func

    assert "does not fit" in await refused(job, signed)


async def test_a_worker_with_a_key_refuses_unsigned_jobs(signed: Queue, queue: Queue) -> None:
    job = await queue.enqueue(jobs.forged, 1, retry=3)

    assert "is not signed, and this program has a signing key" in await refused(job, signed)


async def test_a_worker_without_a_key_refuses_signed_jobs_and_says_what_is_missing(
    signed: Queue, queue: Queue
) -> None:
    job = await signed.enqueue(jobs.forged, 1, retry=3)

    assert "set AQUEUE_SIGNING_KEY, or give signing_key=" in await refused(job, queue)


async def test_a_client_without_a_key_says_what_is_missing(signed: Queue) -> None:
    job = await signed.enqueue(jobs.echo, 1, meta={"m": 1})
    await burst(signed)
    found = await Job.fetch(job.id)

    for look in (lambda: found.result, lambda: found.meta, lambda: found.args, lambda: found.func):
        with pytest.raises(BadSignature, match="set AQUEUE_SIGNING_KEY"):
            look()
    assert found.description == "tests.security.jobs.echo(...)"
    await found.requeue()  # needs no key: it decodes nothing
    await burst(signed)
    assert await job.return_value(refresh=True) == 1


async def test_nobody_gets_a_forged_draft_signed(signed: Queue, db: Any) -> None:
    forgeries: list[dict[str, Any]] = [
        {"function": "os.system"},
        {"data": b"x"},
        {"sig": b"x"},
        {"queue": "other"},
    ]
    for forgery in forgeries:
        job = Job.create(jobs.echo, (1,), id="saved", signing_key=KEY)
        await job.save()
        db.hset(signed.space.keys.job(job.id), mapping=forgery)
        db.hdel(signed.space.keys.job(job.id), "status", "nonce")
        fetched = await Job.fetch(job.id, signing_key=KEY)
        with pytest.raises(BadSignature):
            await signed.enqueue_job(fetched)
        with pytest.raises(BadSignature):
            await fetched.save()
        with pytest.raises(BadSignature):
            fetched.origin = "elsewhere"
        await job.refresh()
        with pytest.raises(BadSignature):
            await signed.enqueue_job(job)
        db.delete(signed.space.keys.job(job.id))


# -- secrets


async def test_keys_are_told_to_nobody(
    signed: Queue, db: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    worker = Worker(signed)
    job = await signed.enqueue(jobs.fail, 1)
    await burst(signed, signing_key=OTHER)
    await burst(signed)
    shown = [
        repr(thing) for thing in (signed, worker, job, signed.space, worker.space.codec, job._record.fields)
    ]
    shown += [caplog.text, await last_line(job), *capsys.readouterr()]
    for key in db.scan_iter(match=f"{signed.space.keys.prefix}*", count=10_000):
        shown.append(repr(db.dump(key)))

    assert not [text for text in shown if KEY in text or OTHER in text]
