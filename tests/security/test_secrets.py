"""S23 and S24: a password that somebody gave us is in no message, log, `repr`, traceback or key."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

from aqueue import Job, PayloadError, Queue, Worker, get_failed_queue, use_connection
from aqueue._core.options import Executor
from aqueue._redis import faults
from aqueue._redis.source import Source, from_url
from aqueue.sync import Queue as SyncQueue
from tests.cli.conftest import Invoke
from tests.cli.conftest import invoke as invoke
from tests.security import jobs
from tests.servers import Server, free_port
from tests.worker.hands import burst, last_line

blocking: Any = SyncRedis
sentinel: Any = Sentinel
SECRET = "s3cret-Pa55word-x1"

#: URLs as people type them, right and wrong. S is the secret, P a port on which nobody listens.
SHAPES = [
    "redis://:S@127.0.0.1:P/0", "redis://ann:S@127.0.0.1:P/0", "redis://S@127.0.0.1:P", "redis://S:@127.0.0.1:P",
    "rediss://ann:S@127.0.0.1:P/0", "rediss://:S@127.0.0.1:P?ssl_cert_reqs=none", "unix://ann:S@/nowhere/redis.sock",
    "unix:///nowhere/redis.sock?password=S", "redis://127.0.0.1:P?password=S", "redis://127.0.0.1:P/0?username=S",
    "redis://127.0.0.1:P/0?username=ann&password=S&db=1", "redis://ann:S%40x@127.0.0.1:P", "redis://ann:S/x@127.0.0.1:P",
    "redis://ann:S?x@127.0.0.1:P", "redis://ann:S#x@127.0.0.1:P", "redis://ann:S@x@127.0.0.1:P", "redis://ann:S@[::1",
    "redis://ann:S@127.0.0.1:port", "redis://ann:S@127.0.0.1:99999", "redis://127.0.0.1:P/0?db=S", "redis://ann:127.0.0.1:S",
    "redis://127.0.0.1:P?socket_connect_timeout=S", "REDIS://ann:S@127.0.0.1:P", "http://ann:S@127.0.0.1:P",
    "redis:ann:S@127.0.0.1:P", "redis:/ann:S@127.0.0.1:P", "ann:S@127.0.0.1:P", "S", "://ann:S@127.0.0.1",
    "sentinel://ann:S@127.0.0.1:P/mymaster/0", "sentinel://127.0.0.1:P/mymaster?sentinel_password=S",
    "sentinels://ann:S@127.0.0.1:P/mymaster", "sentinel://ann:S@127.0.0.1:P", "sentinel://ann:S@127.0.0.1:P/mymaster/x",
    "sentinel://127.0.0.1:P/mymaster?password=S&sentinel_username=S", "sentinel://ann:S/x@127.0.0.1:P/mymaster",
    "sentinel://127.0.0.1:P/mymaster?sentinel_secret=S", "embedded://ann:S@here", "embedded:///nowhere?password=S",
]  # fmt: skip


def filled(shape: str) -> str:
    return shape.replace("S", SECRET).replace("P", str(free_port()), 1) if shape != "S" else SECRET


def all_doors(connection: Any) -> list[Callable[[], Any]]:
    """Whatever takes a connection, and what it does with one where nobody answers."""

    async def work() -> None:
        await Worker("q", connection).work(burst=True)

    def push() -> None:
        with use_connection(connection):
            Queue("q")

    return [
        lambda: Queue("q", connection).enqueue(jobs.echo, 1),
        lambda: Queue("q", connection).count(),
        lambda: Job.fetch("a", connection),
        lambda: Job.create(jobs.echo, connection=connection).save(),
        lambda: Worker.all(connection),
        lambda: get_failed_queue(connection).count(),
        lambda: asyncio.to_thread(lambda: SyncQueue("q", connection).enqueue(jobs.echo, 1)),
        work,
        push,
    ]


async def told_by(call: Callable[[], Any]) -> str:
    """Everything that a program may show of the error, its causes and their arguments among it."""
    try:
        found = call()
        await found if asyncio.iscoroutine(found) else None
    except Exception as error:
        told = [repr(error), "".join(traceback.format_exception(error))]
        chain: BaseException | None = error
        while chain is not None and len(told) < 20:
            told += [repr(chain.args), repr(vars(chain))]
            chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
        return "\n".join(told)
    return ""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """One try each; all is logged."""
    caplog.set_level(logging.DEBUG)
    init = faults.Attempts.__init__

    def hasty(self: faults.Attempts, source: Source, patience: float | None = None) -> None:
        init(self, source, 0.0)

    monkeypatch.setattr(faults.Attempts, "__init__", hasty)


def test_there_are_enough_shapes() -> None:
    assert len(SHAPES) >= 30


@pytest.mark.parametrize(
    "shape",
    [shape if n % 4 == 0 else pytest.param(shape, marks=pytest.mark.slow) for n, shape in enumerate(SHAPES)],
)
async def test_a_password_is_told_by_no_door(
    shape: str, impatient: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQUEUE_TRUST_REDIS", "1")
    url = filled(shape)
    told = [await told_by(door) for door in all_doors(url)]

    assert "Redis at" in "".join(told) or "cannot use the URL" in "".join(told) or "embedded" in "".join(told)
    assert SECRET not in "".join(told) + caplog.text


@pytest.mark.parametrize("shape", SHAPES[::5])
def test_no_command_tells_a_password(shape: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUEUE_TRUST_REDIS", "1")
    for words in (["info"], ["worker", "-b"]):
        ended = invoke(*words, "-u", filled(shape))
        assert ended.exit_code != 0
        assert SECRET not in ended.stdout + ended.stderr, words


async def test_what_redis_says_of_a_wrong_password_does_not_tell_it(
    namespace: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(aof=False) as server:
        with server.client() as db:
            untyped: Any = db
            untyped.config_set("requirepass", "right")
        for url in (f":{SECRET}@", f"default:{SECRET}@", f"ann:{SECRET}@", f"{SECRET}@", ""):
            told = [await told_by(door) for door in all_doors(server.url.replace("//", f"//{url}"))]
            assert "refuses the credentials" in "".join(told)
            assert SECRET not in "".join(told)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: Redis(port=free_port(), password=SECRET),
        lambda: Redis(port=free_port(), username="ann", password=SECRET, ssl=True),
        lambda: blocking.from_url(f"redis://ann:{SECRET}@127.0.0.1:{free_port()}"),
        lambda: SyncRedis(unix_socket_path="/nowhere/redis.sock", password=SECRET),
        lambda: sentinel([("127.0.0.1", free_port())], sentinel_kwargs={"password": SECRET}).master_for(
            "mymaster", password=SECRET
        ),
    ],
    ids=["asynchronous", "TLS", "blocking", "socket", "sentinel"],
)
async def test_clients_that_are_handed_over_tell_nothing_either(
    make: Callable[[], Any], impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    client = make()
    told = [await told_by(door) for door in all_doors(client)]

    assert any(told)
    assert SECRET not in "".join(told) + caplog.text


def test_nothing_of_ours_shows_it() -> None:
    urls = [
        f"redis://ann:{SECRET}@localhost", f"rediss://localhost?password={SECRET}", f"unix://:{SECRET}@/x",
        f"sentinel://ann:{SECRET}@localhost/mymaster?sentinel_password={SECRET}",
    ]  # fmt: skip
    for url in urls:
        queue = Queue("q", url, signing_key=SECRET + SECRET)
        worker = Worker(queue)
        job = Job.create(jobs.echo, (1,), connection=url, signing_key=SECRET + SECRET)
        things: list[Any] = [
            queue, worker, worker.settings, job, job._record, queue.space, queue.space.codec, from_url(url),
            queue.space.connector, from_url(url).sentinels, queue.failed_job_registry, get_failed_queue(url),
        ]  # fmt: skip
        for thing in things:
            assert SECRET not in f"{thing!r} {thing}", type(thing)


def look_around() -> list[str]:
    """The command lines of this process and of its parent."""
    return [Path(f"/proc/{pid}/cmdline").read_text() for pid in (os.getpid(), os.getppid())]


async def test_child_processes_have_it_on_no_command_line(server: Server, namespace: str) -> None:
    url = server.user(namespace, "~*", "&*", "+@all")
    async with Queue("default", url, namespace=namespace, signing_key=SECRET) as queue:
        job = await queue.enqueue(look_around, executor="process")
        await burst(queue)
        lines = await job.wait(timeout=5)

        assert len(lines) == 2
        assert SECRET not in "".join(lines)
        assert "secret@" not in "".join(lines)


async def test_redis_holds_no_password_and_no_key(server: Server, namespace: str) -> None:
    """Nor does it keep arguments anywhere but in the record."""
    url = server.user(namespace, "~*", "&*", "+@all")
    async with Queue("default", url, namespace=namespace, signing_key="k" * 20) as queue:
        done = await queue.enqueue(jobs.echo, SECRET, result_ttl=0)
        failed = await queue.enqueue(jobs.fail, "no", meta={"m": 1})
        await burst(queue)
        await failed.requeue()
        await burst(queue)
        assert "ValueError: no" in await last_line(failed)
        assert done.description == f"tests.security.jobs.echo({SECRET!r})"
        with server.client() as db:
            untyped: Any = db
            dumps = [untyped.dump(key) for key in untyped.scan_iter(match=f"{{{namespace}}}:*", count=10_000)]
    assert len(dumps) > 3
    for text in (b"secret", b"kkkkkkkk", SECRET.encode()):
        assert not [dump for dump in dumps if text in dump]


@pytest.mark.parametrize("secret", ["password", "signing key"])
@pytest.mark.parametrize("executor", [None, "process"])
async def test_nothing_that_has_one_goes_into_a_job(
    server: Server, namespace: str, secret: str, executor: Executor | None
) -> None:
    """Whoever reads Redis, or a backup of it, could sign jobs then."""
    url = server.user(namespace, "~*", "&*", "+@all") if secret == "password" else server.url
    key = "k" * 20 if secret == "signing key" else None
    queue = Queue("default", url, namespace=namespace, signing_key=key)
    job = await queue.enqueue(jobs.own_job, executor=executor)
    for value in (queue, job, [queue], SyncQueue("q", url, signing_key=key), Worker([queue]), queue.enqueue):
        refusal = f"cannot be encoded: TypeError: .*{secret}.* would be stored, too"
        with pytest.raises(PayloadError, match=refusal):
            await queue.enqueue(jobs.echo, value)
        with pytest.raises(PayloadError, match=refusal):
            await queue.enqueue(jobs.echo, 1, meta={"it": value})
    await burst(queue)

    assert secret in await last_line(job)
    for again in (pickle.loads(pickle.dumps(queue)), copy.deepcopy(queue)):  # for the same program
        assert again.space.connector.source == queue.space.connector.source
        assert again.space.codec.seal == queue.space.codec.seal
    await queue.aclose()


async def test_where_there_is_none_a_queue_may_be_an_argument(server: Server, namespace: str) -> None:
    queue = Queue("default", server.url, namespace=namespace)
    job = await queue.enqueue(jobs.echo, queue)

    assert (await Job.fetch(job.id, server.url, namespace=namespace)).args == (queue,)
    await queue.aclose()


async def test_arguments_are_not_logged(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await queue.enqueue(jobs.echo, SECRET, meta={"m": SECRET}, description=SECRET)
    await burst(queue)

    assert "finished" in caplog.text
    assert SECRET not in caplog.text
