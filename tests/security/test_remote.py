"""On a Redis that is not local, nothing is decoded or run that whoever can write to it could have made up."""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from typer.testing import CliRunner

from aqueue import Job, Queue, SettingsError, Worker, get_failed_queue
from aqueue._core.serializers import OPAQUE
from aqueue._redis.source import from_client, from_url
from aqueue.cli.app import app
from aqueue.connection import lives_in, open_namespace
from tests.security import jobs
from tests.security.conftest import KEY
from tests.security.gadgets import Gadget
from tests.servers import Server
from tests.worker.hands import burst

REMOTE = "redis://redis.example.com:6379/0"
REFUSED = "is not on this machine"


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost", "redis://LocalHost:7777/3", "redis://127.0.0.1", "redis://127.255.255.254:1",
        "redis://[::1]:6379", "redis://u:p@localhost", "unix:///run/redis.sock", "unix://u:p@/x?db=1", "redis://",
        "rediss://localhost", "embedded://", "redis://user:redis.example.com@localhost/0",
    ],
)  # fmt: skip
def test_local_are_sockets_and_the_loopback(url: str) -> None:
    assert from_url(url).is_local


@pytest.mark.parametrize(
    "url",
    [
        REMOTE, "redis://10.0.0.1", "redis://192.168.1.1", "redis://0.0.0.0", "redis://128.0.0.1", "redis://126.1.1.1",
        "redis://[::2]", "redis://[fe80::1]", "redis://localhost.example.com", "redis://localhost@example.com",
        "redis://127.0.0.1.example.com", "redis://127.0.0.1@example.com/", "redis://redis", "redis://localhost.",
        "rediss://example.com", "redis://127.0.0.1:pw@example.com", "redis://xn--localhost-9za",
    ],
)  # fmt: skip
def test_all_others_are_not_local_whatever_they_resolve_to(url: str) -> None:
    assert not from_url(url).is_local


def test_a_client_is_asked_where_it_connects_to() -> None:
    assert from_client(Redis()).is_local
    assert from_client(SyncRedis(unix_socket_path="/x")).is_local
    assert not from_client(Redis(host="redis.example.com")).is_local


# -- at the construction, before any connection


def make_queue(connection: Any) -> None:
    Queue("q", connection)


def make_worker(connection: Any) -> None:
    Worker("q", connection)


def make_job(connection: Any) -> None:
    Job.create(jobs.echo, connection=connection)


@pytest.mark.parametrize("connection", [REMOTE, Redis(host="10.1.2.3"), SyncRedis(host="10.1.2.3")])
@pytest.mark.parametrize("make", [make_queue, make_worker, make_job])
def test_pickle_without_a_key_is_refused(make: Callable[[Any], Any], connection: Any) -> None:
    with pytest.raises(SettingsError, match=REFUSED) as caught:
        make(connection)

    for way in ("AQUEUE_SIGNING_KEY", 'serializer="json"', "trust_redis=True"):
        assert way in str(caught.value)


@pytest.mark.parametrize("options", [{"signing_key": KEY}, {"serializer": "json"}, {"trust_redis": True}])
def test_each_way_out_lets_a_producer_in(options: Any) -> None:
    Queue("q", REMOTE, **options)
    Job.create(jobs.echo, (1,), connection=REMOTE, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SIGNING_KEY", KEY), ("SERIALIZER", "json"), ("TRUST_REDIS", "1"), ("TRUST_REDIS", "yes")],
)
def test_each_way_out_may_come_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("AQUEUE_URL", REMOTE)
    with pytest.raises(SettingsError, match=r"redis\.example\.com:6379/0 is not on this machine"):
        Queue()
    monkeypatch.setenv(f"AQUEUE_{name}", value)

    Queue()


@pytest.mark.parametrize(
    "options",
    [
        {"signing_key": KEY}, {"serializer": "json", "allow": ["tests.security.app"]}, {"trust_redis": True},
        {"serializer": "json", "allow": []}, {"serializer": "json", "signing_key": KEY},
    ],
)  # fmt: skip
def test_each_way_out_lets_a_worker_in(options: Any) -> None:
    Worker("q", REMOTE, **options)


@pytest.mark.parametrize("options", [{"serializer": "json"}, {"serializer": OPAQUE}])
def test_a_worker_that_would_run_any_function_needs_a_list(options: Any) -> None:
    with pytest.raises(SettingsError, match=r"AQUEUE_SIGNING_KEY.*--allow your\.tasks"):
        Worker("q", REMOTE, **options)
    with pytest.raises(SettingsError, match="--allow"):
        Worker(Queue("q", REMOTE, **options))


@pytest.mark.parametrize("options", [{}, {"allow": ["tests.security.app"]}])
def test_a_list_does_not_make_pickle_safe(options: Any) -> None:
    with pytest.raises(SettingsError, match='serializer="json"'):
        Worker("q", REMOTE, **options)


def test_the_module_pickle_is_pickle() -> None:
    with pytest.raises(SettingsError, match=REFUSED):
        Queue("q", REMOTE, serializer=pickle)


def test_a_worker_trusts_what_its_queue_was_told_to_but_not_another_redis() -> None:
    trusted = Queue("q", REMOTE, trust_redis=True)

    assert Worker(trusted).space.is_trusted
    with pytest.raises(SettingsError, match=REFUSED):
        Worker(trusted, "redis://other.example.com")


@pytest.mark.parametrize("given", ["maybe", "2", "redis.example.com"])
def test_trust_is_yes_or_no(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    with pytest.raises(SettingsError, match=r"trust_redis='.*' must be True or False"):
        Queue("q", REMOTE, trust_redis=given)
    monkeypatch.setenv("AQUEUE_TRUST_REDIS", given)
    with pytest.raises(SettingsError, match=r"AQUEUE_TRUST_REDIS='.*' must be 1 or 0"):
        Queue("q", REMOTE)


def test_passwords_are_not_told() -> None:
    with pytest.raises(SettingsError) as caught:
        Queue("q", "redis://ann:s3cret@redis.example.com/0")

    assert "s3cret" not in str(caught.value)


def test_a_queue_that_tests_move_to_their_server_may_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUEUE_URL", REMOTE)
    space = open_namespace()
    assert space.codec.refusal

    with lives_in("redis://127.0.0.1:1", "tests"):
        assert space.here().codec.refusal == ""


# -- with a server


@pytest.fixture
def remote(tmp_path: Path) -> Any:
    """The url of a server that is reached by an address that is not the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent; it tells the address that would be used
        except OSError:
            pytest.skip("this machine has no address but the loopback")
        address = str(probe.getsockname()[0])
    with Server("--protected-mode", "no", "--bind", address, "127.0.0.1", aof=False) as running:
        yield f"redis://{address}:{running.port}/0", f"redis://127.0.0.1:{running.port}/0"


async def test_jobs_of_a_remote_redis_are_read_and_moved_but_not_decoded(remote: Any, tmp_path: Path) -> None:
    far, near = remote
    canary = tmp_path / "canary"
    async with Queue("default", near) as queue:
        job = await queue.enqueue(jobs.fail, Gadget(canary), meta={"x": Gadget(canary)})
        good = await queue.enqueue(jobs.echo, 1)
        await good.cancel()
        space = open_namespace(far)
        found = await Job.fetch(job.id, far)

        assert (found.status, found.func_name) == ("queued", "tests.security.jobs.fail")
        assert found.description == "tests.security.jobs.fail(...)"
        for name in ("args", "kwargs", "meta", "func"):
            with pytest.raises(SettingsError, match=REFUSED):
                getattr(found, name)
        with pytest.raises(SettingsError, match=REFUSED):
            await found.wait(timeout=0)
        with pytest.raises(SettingsError, match=REFUSED):
            await found.save_meta()
        await found.cancel()
        await found.requeue()
        assert await get_failed_queue(far).count() == 0
        await space.connector.aclose()
    assert not canary.exists()


async def test_signed_and_listed_jobs_run_on_a_remote_redis(remote: Any) -> None:
    far, _ = remote
    ways: list[dict[str, Any]] = [{"signing_key": KEY}, {"serializer": "json", "namespace": "json"}]
    for options in ways:
        async with Queue("default", far, **options) as queue:
            job = await queue.enqueue(jobs.echo, [1])
            await burst(queue, allow=["tests.security"])
            assert await job.wait(timeout=5) == [1]


def command(*words: str) -> tuple[int, str]:
    """Exit code and standard error."""
    ended = CliRunner().invoke(app, words)
    return ended.exit_code, ended.stderr


def test_commands_that_decode_nothing_need_no_key(remote: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    far, _ = remote
    for words in (
        ["info"],
        ["requeue", "--all"],
        ["requeue", "--all", "-q", "q"],
        ["pause", "q"],
        ["resume", "q"],
    ):
        assert command(*words, "-u", far)[0] == 0, words
    for words in (["worker", "-b"], ["enqueue", "tests.tasks.say_hello"]):
        code, said = command(*words, "-u", far)
        assert (code, REFUSED in said) == (2, True), words
    assert command("worker", "-b", "-u", far, "--trust-redis")[0] == 0
    assert command("worker", "-b", "-u", far, "--serializer", "json", "--allow", "tests.tasks")[0] == 0
