"""Which Redis a queue talks to, and through what: clients, URLs, sockets, passwords, loops and threads."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from aqueue import (
    Job,
    Queue,
    QueueUnavailable,
    SettingsError,
    Worker,
    pop_connection,
    push_connection,
    use_connection,
)
from aqueue._redis.client import AsyncClient
from tests.api import jobs
from tests.api.admin import admin, clients_of
from tests.clusters import one_database
from tests.servers import Server, free_port
from tests.support import wait_until

ROOT = Path(__file__).parents[2]


async def works(connection: Any, **more: Any) -> None:
    """Enqueue, run, fetch and wait, all through this connection."""
    queue = Queue("works", connection=connection, **more)
    job = await queue.enqueue(jobs.echo, b"\xff\x00", x="é", meta={"a": "é"})
    assert await Worker([queue]).work(burst=True)
    assert await job.wait(5) == ((b"\xff\x00",), {"x": "é"})
    assert (await Job.fetch(job.id, connection=connection)).meta == {"a": "é"}
    await queue.aclose()


async def test_a_client_of_redis_asyncio_is_taken_and_left_alone(url: str) -> None:
    client: Any = redis.asyncio.Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]

    await works(client)

    assert await client.ping()
    await client.aclose()


async def test_a_client_that_decodes_is_taken(url: str, namespace: str) -> None:
    client: Any = redis.asyncio.Redis.from_url(url, decode_responses=True, protocol=3)  # pyright: ignore[reportUnknownMemberType]

    await works(client)

    await client.set(f"{{{namespace}}}:its own", "é")
    assert await client.get(f"{{{namespace}}}:its own") == "é"
    await client.aclose()


async def test_a_synchronous_client_is_taken(url: str) -> None:
    client: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=0.001)  # pyright: ignore[reportUnknownMemberType]

    await works(client)

    client.close()


async def test_a_url_is_taken_and_queues_of_one_url_share_its_connections(own_server: Server) -> None:
    queues = [Queue(f"q{number}", connection=own_server.url) for number in range(30)]
    for queue in queues:
        await queue.enqueue(jobs.nothing)

    assert len(clients_of(own_server)) == 1
    await asyncio.gather(*(queue.count() for queue in queues * 5))
    assert len(clients_of(own_server)) == 1
    await queues[0].aclose()


@pytest.mark.more_rights("+select")
@one_database
async def test_databases_are_kept_apart(url: str) -> None:
    await works(url.removesuffix("/0") + "/5")
    other: Any = redis.asyncio.Redis.from_url(url.removesuffix("/0") + "?db=6")  # pyright: ignore[reportUnknownMemberType]
    await works(other)
    await other.aclose()

    assert await Queue("works").finished_job_registry.count() == 0
    assert await Queue("works", url.removesuffix("/0") + "/6").finished_job_registry.count() == 1


async def test_a_unix_socket_is_taken(tmp_path: Path, url: str) -> None:
    path = tmp_path / "redis.sock"
    with Server("--unixsocket", str(path), aof=False):
        await works(f"unix://{path}")
        await works(redis.asyncio.Redis(unix_socket_path=str(path)))


@pytest.mark.parametrize("kind", ["url", "client", "sync client", "default user"])
async def test_a_password_is_taken_and_never_told(
    own_server: Server, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "s3cret"
    with admin(own_server) as client:
        client.acl_setuser(
            "ann", enabled=True, passwords=[f"+{secret}"], keys=["*"], channels=["*"], commands=["+@all"]
        )
        client.config_set("requirepass", secret)
    port = own_server.port
    given: Any = {
        "url": f"redis://ann:{secret}@127.0.0.1:{port}/0",
        "client": redis.asyncio.Redis(port=port, username="ann", password=secret),
        "sync client": redis.Redis(port=port, username="ann", password=secret),
        "default user": f"redis://:{secret}@127.0.0.1:{port}/0",
    }[kind]

    await works(given)
    queue = Queue("works", connection=given)
    await queue.count()
    with redis.Redis(port=port, password=secret) as client:
        listed: Any = client.client_list()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        users = {entry["user"] for entry in listed}
    own_server.kill()
    with pytest.raises(QueueUnavailable) as caught:
        await queue.space.connector.client().ping(patience=0)

    assert users == {"default"} if kind == "default user" else users == {"default", "ann"}
    told = [str(caught.value), repr(queue), repr(queue.space), *(r.getMessage() for r in caplog.records)]
    assert all(secret not in text and "ann" not in text for text in told)
    assert "***@" in str(caught.value)
    await queue.aclose()


async def test_a_wrong_password_is_said_at_once(own_server: Server) -> None:
    queue = Queue(connection=f"redis://ann:wr0ng@127.0.0.1:{own_server.port}/0")

    with pytest.raises(QueueUnavailable, match="refuses the credentials") as caught:
        await queue.enqueue(jobs.nothing)

    assert "wr0ng" not in str(caught.value)
    assert not caught.value.uncertain


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "begin with redis://"),
        ("localhost:6379", "begin with redis://"),
        ("http://user:secret@localhost", "begin with redis://"),
        ("redis://user:secret@localhost:port/0", "cannot use the URL"),
        (5, "int object"),
        (object(), "object object"),
        (b"redis://localhost", "bytes object"),
        (["redis://localhost"], "list object"),
    ],
)
def test_what_is_no_connection_is_refused_without_telling_secrets(bad: Any, words: str) -> None:
    for use in (
        lambda: Queue(connection=bad),
        lambda: push_connection(bad),
        lambda: Job.create(jobs.nothing, connection=bad),
        lambda: Worker(["default"], bad),
    ):
        with pytest.raises(SettingsError, match=words) as caught:
            use()
        assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError, match="pop_connection"):
        pop_connection()


def test_an_option_that_there_is_not_is_refused() -> None:
    unknown: Any = {"colour": "red"}
    for make in (lambda: Queue(**unknown), lambda: Worker(**unknown), lambda: Worker(Queue(), **unknown)):
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            make()


async def test_without_a_connection_the_pushed_one_counts_then_the_environment_then_localhost(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown() -> str:
        return Queue().space.connector.source.shown

    monkeypatch.delenv("AQUEUE_URL")
    assert shown() == "redis://localhost:6379/0"
    monkeypatch.setenv("AQUEUE_URL", "redis://127.0.0.1:1/1")
    assert shown() == "redis://127.0.0.1:1/1"
    push_connection("redis://127.0.0.2:2/2")
    with use_connection("redis://127.0.0.3:3/3"):
        assert shown() == "redis://127.0.0.3:3/3"
        assert Job.create(jobs.nothing)._space.connector.source.shown == "redis://127.0.0.3:3/3"
        assert (
            Queue(connection="redis://127.0.0.4:4/4").space.connector.source.shown == "redis://127.0.0.4:4/4"
        )
    assert shown() == "redis://127.0.0.2:2/2"
    assert pop_connection() == "redis://127.0.0.2:2/2"
    assert shown() == "redis://127.0.0.1:1/1"
    monkeypatch.setenv("AQUEUE_URL", "")
    assert shown() == "redis://localhost:6379/0"


async def test_a_pushed_connection_holds_for_the_tasks_of_its_context_only(url: str) -> None:
    async def shown() -> str:
        return Queue().space.connector.source.shown

    async def push_and_show() -> str:
        push_connection("redis://127.0.0.5:5/5")
        return await shown()

    assert await asyncio.create_task(push_and_show()) == "redis://127.0.0.5:5/5"
    assert await shown() != "redis://127.0.0.5:5/5"


@pytest.mark.more_rights("~{app?}:*", "&{app?}:*")
async def test_a_created_job_belongs_to_the_namespace_of_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQUEUE_NAMESPACE", "app1")
    one = await Queue().enqueue(jobs.nothing)
    monkeypatch.setenv("AQUEUE_NAMESPACE", "app2")

    assert not await Job.exists(one.id)
    assert await Job.exists(one.id, namespace="app1")
    assert [queue.name for queue in await Queue.all(namespace="app1")] == ["default"]
    assert await Queue.all() == []
    monkeypatch.setenv("AQUEUE_NAMESPACE", "a b")
    with pytest.raises(SettingsError, match="namespace"):
        Queue()


async def test_a_closed_queue_opens_again_by_itself(own_server: Server) -> None:
    async with Queue(connection=own_server.url) as queue:
        job = await queue.enqueue(jobs.nothing)
        with pytest.raises(TimeoutError):
            await job.wait(0.05)
        assert len(clients_of(own_server)) == 3
    await wait_until(lambda: clients_of(own_server) == [])
    await queue.aclose()

    assert await queue.count() == 1
    assert len(clients_of(own_server)) == 1
    await queue.aclose()


TWICE = """
import asyncio, sys
from aqueue import Queue, WaitTimeout

queue = Queue()

async def main(number):
    asyncio.get_running_loop().slow_callback_duration = 60  # debug mode's word on a busy machine
    job = await queue.enqueue("x.y", number)
    others = await asyncio.gather(*(queue.enqueue("x.y", n) for n in range(5)))
    try:
        await job.wait(0.05)
    except WaitTimeout:
        pass
    waiting = asyncio.create_task(others[0].wait())
    await asyncio.sleep(0.02)
    return await queue.count()

print(asyncio.run(main(1)), asyncio.run(main(2)), asyncio.run(main(3)))
with asyncio.Runner() as runner:
    print(runner.run(main(4)), runner.run(main(5)))
"""


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_queue_of_a_module_serves_one_loop_after_another_without_a_noise(
    tmp_path: Path, url: str, namespace: str, debug: str
) -> None:
    (tmp_path / "script.py").write_text(TWICE)
    env = os.environ | {"AQUEUE_URL": url, "AQUEUE_NAMESPACE": namespace, "PYTHONPATH": str(ROOT)}
    env["PYTHONASYNCIODEBUG"] = debug
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(tmp_path / "script.py")],
        env=env, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("6 12 18\n24 30\n", "")


UNANSWERED = """
import asyncio, sys
from aqueue import Queue
from redis.asyncio import Redis

queue = Queue()

async def main():
    async with Redis(port=int(sys.argv[1])) as redis:
        await queue.enqueue("x.y", 0)
        await redis.client_pause(60_000, all=False)
        tasks = [asyncio.create_task(queue.enqueue("x.y", 1))]
        while not any("b" in client["flags"] for client in await redis.client_list()):
            pass
        tasks.append(asyncio.create_task(queue.enqueue("x.y", 2)))
        await asyncio.sleep(0)
        print([task.done() for task in tasks])

asyncio.run(main())
"""


def test_a_loop_may_end_while_what_it_enqueues_is_unanswered(tmp_path: Path, own_server: Server) -> None:
    (tmp_path / "script.py").write_text(UNANSWERED)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(tmp_path / "script.py"), str(own_server.port)],
        env=os.environ | {"AQUEUE_URL": own_server.url, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("[False, False]\n", "")


def test_loops_in_threads_share_a_queue_but_no_connection(own_server: Server) -> None:
    queue = Queue(connection=own_server.url)
    counts: list[int] = []

    async def use(name: str) -> None:
        for number in range(50):
            job = await queue.enqueue(jobs.nothing, job_id=f"{name}{number}")
            assert await queue.get_job_position(job) is not None
        counts.append(await queue.count())

    def run(name: str) -> None:
        asyncio.run(use(name))

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(counts) == 200
    assert asyncio.run(_close_and_count(queue)) == 200
    assert clients_of(own_server) == []


def test_a_loop_may_end_while_another_one_begins(url: str) -> None:
    connector = Queue(connection=url).space.connector
    ending = asyncio.new_event_loop()

    def end() -> None:
        ending.run_until_complete(ending.shutdown_asyncgens())
        ending.close()

    class Asked(asyncio.SelectorEventLoop):
        def is_closed(self) -> bool:
            """While somebody looks through all loops, another one ends."""
            if not ending.is_closed():
                thread = threading.Thread(target=end)
                thread.start()
                thread.join()
            return super().is_closed()

    async def make() -> AsyncClient:
        return connector.client()

    asked = Asked()
    ending.run_until_complete(make())
    first = asked.run_until_complete(make())
    try:
        assert asyncio.run(make()) is not first
        assert ending.is_closed()
        assert asked.run_until_complete(make()) is first
    finally:
        asked.run_until_complete(asked.shutdown_asyncgens())
        asked.close()


async def _close_and_count(queue: Queue) -> int:
    async with queue:
        return await queue.count()


async def test_a_server_nobody_listens_at_is_named_without_its_query(hurry: None) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0?password=s3cret"
    with pytest.raises(QueueUnavailable) as caught:
        await Queue(connection=url).count()

    assert "s3cret" not in str(caught.value)
