"""The same jobs on each server, over each kind of connection, by each kind of client."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from aqueue import Job, JobFailed, Queue, Worker
from tests.api import jobs
from tests.servers import Server, redis_binary
from tests.tls import Authority, TlsServer, why_not

#: What redis-py's client is given, by what it stands for.
CLIENTS: dict[str, dict[str, Any]] = {
    "RESP2": {"protocol": 2},
    "RESP3": {"protocol": 3},
    "decoding": {"decode_responses": True},
    "decoding, RESP3": {"decode_responses": True, "protocol": 3},
}


@pytest.fixture(
    scope="module", params=["valkey", "redis", "valkey's socket", "redis' socket", "redis with TLS"]
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """How a server is reached, in redis-py's words."""
    kind: str = request.param
    if kind == "redis with TLS":
        if why_not():
            pytest.skip(why_not())
        with Authority() as authority, TlsServer(authority) as server:
            certificate = str(authority.certificate)
            yield {"host": "127.0.0.1", "port": server.tls_port, "ssl": True, "ssl_ca_certs": certificate}
        return
    binary = redis_binary() if kind.startswith("redis") else None
    if kind.startswith("redis") and binary is None:
        pytest.skip("needs a redis-server of the system")
    socket = str(tmp_path_factory.mktemp("s") / "s")
    with Server("--unixsocket", socket, aof=False, binary=binary) as server:
        yield {"unix_socket_path": socket} if "socket" in kind else {"port": server.port}


def url_of(place: dict[str, Any]) -> str:
    if "unix_socket_path" in place:
        return f"unix://{place['unix_socket_path']}?db=1"
    if "ssl" in place:
        return f"rediss://127.0.0.1:{place['port']}/1?ssl_ca_certs={place['ssl_ca_certs']}"
    return f"redis://127.0.0.1:{place['port']}/1"


async def works(connection: Any) -> None:
    """Jobs that finish, fail, are scheduled, canceled and waited for."""
    queue = Queue(connection=connection)
    async with queue, Worker([queue]).running():
        raw = await queue.enqueue(jobs.echo, b"\xff\x00", x="é", meta={"a": "é"})
        late = await queue.enqueue_in(0.05, jobs.say_hello, "you")
        never = await queue.enqueue_in(60, jobs.nothing)
        failing = await queue.enqueue(jobs.div_by_zero, 1)
        await never.cancel()

        assert await raw.wait(10) == ((b"\xff\x00",), {"x": "é"})
        assert await late.wait(10) == jobs.say_hello("you")
        with pytest.raises(JobFailed, match="ZeroDivisionError"):
            await failing.wait(10)
        assert (await Job.fetch(raw.id, connection)).meta == {"a": "é"}
        assert await queue.canceled_job_registry.get_job_ids() == [never.id]
        assert await queue.failed_job_registry.get_job_ids() == [failing.id]


async def test_by_url(place: dict[str, Any], namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)

    await works(url_of(place))


@pytest.mark.parametrize("kind", CLIENTS)
async def test_by_a_client(
    place: dict[str, Any], kind: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    client: Any = redis.asyncio.Redis(**place, **CLIENTS[kind])

    await works(client)

    assert await client.echo("é") in ("é", "é".encode())
    await client.aclose()


async def test_by_a_client_for_threads(
    place: dict[str, Any], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    with contextlib.closing(redis.Redis(**place, decode_responses=True)) as client:
        await works(client)
