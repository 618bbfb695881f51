"""TLS with real certificates: the right one works for every kind of connection, each wrong one for none."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.sentinel import Sentinel as Sentinels

from aqueue import Queue, QueueUnavailable, SettingsError, Worker
from aqueue._redis.connecting import connect
from aqueue._redis.doorbell import Doorbell
from aqueue._redis.source import Source, from_url
from aqueue._redis.sync_client import SyncClient
from aqueue.sync import Queue as SyncQueue
from tests.security import jobs
from tests.sentinels import SERVICE, Sentinel, wait_for
from tests.tls import Authority, TlsServer, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with Authority() as made:
        yield made


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[TlsServer]:
    """A server with a certificate that is all right."""
    with TlsServer(authority) as running:
        yield running


@pytest.fixture
def url(server: TlsServer, authority: Authority, namespace: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)
    return server.tls_url(f"ssl_ca_certs={authority.certificate}")


async def works(connection: Any) -> None:
    queue = Queue(connection=connection)
    async with Worker([queue]).running():  # heartbeat, doorbell and subscriber with it
        job = await queue.enqueue(jobs.echo, "you")
        assert await job.wait(5) == "you"
    await queue.aclose()


async def test_the_right_certificate_works_for_all(url: str, server: TlsServer) -> None:
    await works(url)

    with SyncQueue(connection=url) as queue:
        assert await asyncio.to_thread(queue.count) == 0


async def test_closing_does_not_wait_for_a_goodbye(authority: Authority, url: str) -> None:
    """A transport that did wait outlived its loop."""
    with TlsServer(authority) as frozen:
        connector = Queue(connection=frozen.tls_url(f"ssl_ca_certs={authority.certificate}")).space.connector
        heard = asyncio.Event()
        subscriber = connector.client().subscriber
        subscriber.subscribe("news", lambda message: heard.set())
        await heard.wait()
        sock = subscriber._connection._writer.get_extra_info("socket")
        frozen.freeze()
        try:
            await connector.aclose()
            for _ in range(3):  # asyncio closes one turn later
                await asyncio.sleep(0)
            assert sock.fileno() == -1
        finally:
            frozen.thaw()


async def test_a_client_with_tls_is_taken(server: TlsServer, authority: Authority, url: str) -> None:
    client = redis.asyncio.Redis(
        port=server.tls_port, host="127.0.0.1", ssl=True, ssl_ca_certs=str(authority.certificate)
    )
    await works(client)
    await client.aclose()


async def test_the_way_by_sentinels_is_encrypted_to_its_end(authority: Authority, namespace: str) -> None:
    certificate, key = authority.sign()
    tls = [f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {authority.certificate}"]
    with TlsServer(authority) as master:
        sentinel = Sentinel(
            master.tls_port, "tls-replication yes", "tls-auth-clients no", *tls, quorum=1,
            binary="redis-server", encrypted=True,
        )  # fmt: skip
        sentinel.start()
        try:
            wait_for(lambda: sentinel.client(ssl=True, ssl_ca_certs=str(authority.certificate)).ping(), "it")
            address = f"127.0.0.1:{sentinel.port}"
            await works(f"sentinels://{address}/{SERVICE}/0?ssl_ca_certs={authority.certificate}")
            with pytest.raises(QueueUnavailable, match=r"is not trusted.*certificate verify failed"):
                await ping(from_url(f"sentinels://{address}/{SERVICE}/0"))
            given = {"ssl": True, "ssl_ca_certs": str(authority.certificate)}
            made: Any = Sentinels([("127.0.0.1", sentinel.port)], sentinel_kwargs=given)  # type: ignore[no-untyped-call]
            await works(made.master_for(SERVICE, **given))
        finally:
            sentinel.kill()


# -- what is refused


async def ping(source: Source) -> None:
    queue = Queue(connection=source.shown, trust_redis=True)
    object.__setattr__(queue.space.connector, "source", source)
    await queue.space.connector.client().ping(patience=0)


async def ring(source: Source) -> None:
    await Doorbell(source).wait(["key"], 0.1)


async def read(source: Source) -> None:
    await asyncio.to_thread(SyncClient(source).connect)


WAYS: list[Callable[[Source], Awaitable[Any]]] = [connect, ring, read]
each_way = pytest.mark.parametrize("way", WAYS, ids=["line and subscriber", "doorbell", "threads"])


async def refused(way: Callable[[Source], Awaitable[Any]], url: str) -> str:
    """The reason why there is no connection."""
    with pytest.raises(redis.ConnectionError) as caught:
        await way(from_url(url))
    assert isinstance(caught.value.__context__, ssl.SSLError)
    return str(caught.value.__context__)


@each_way
async def test_an_unknown_authority_is_refused(way: Any, server: TlsServer) -> None:
    with Authority() as other:
        assert "self-signed" in await refused(way, server.tls_url(f"ssl_ca_certs={other.certificate}"))
    assert "self-signed" in await refused(way, server.tls_url())


@pytest.fixture(scope="module")
def misnamed(authority: Authority) -> Iterator[TlsServer]:
    with TlsServer(authority, name="DNS:redis.example.com") as running:
        yield running


@each_way
async def test_another_hosts_certificate_is_refused(
    way: Any, misnamed: TlsServer, authority: Authority
) -> None:
    reason = await refused(way, misnamed.tls_url(f"ssl_ca_certs={authority.certificate}"))

    assert "certificate is not valid for '127.0.0.1'" in reason


async def test_its_host_is_not_looked_at_when_told_so(
    misnamed: TlsServer, authority: Authority, namespace: str
) -> None:
    await works(misnamed.tls_url(f"ssl_ca_certs={authority.certificate}&ssl_check_hostname=false"))


@each_way
async def test_an_expired_certificate_is_refused(way: Any, authority: Authority) -> None:
    with TlsServer(authority, days=-1) as expired:
        reason = await refused(way, expired.tls_url(f"ssl_ca_certs={authority.certificate}"))

    assert "certificate has expired" in reason


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1"])
async def test_an_old_protocol_is_refused(version: str, authority: Authority) -> None:
    with TlsServer(authority, "--tls-protocols", version, "--tls-ciphers", "DEFAULT@SECLEVEL=0") as old:
        assert speaks(old.tls_port) == version
        for way in WAYS:
            assert "protocol" in await refused(way, old.tls_url(f"ssl_ca_certs={authority.certificate}"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def speaks(port: int) -> str | None:
    """What a client that takes anything agrees on with the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT@SECLEVEL=0")

    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as encrypted:
        return encrypted.version()


async def test_a_caller_is_told_at_once_and_why(server: TlsServer, namespace: str) -> None:
    queue = Queue(connection=server.tls_url())

    with pytest.raises(QueueUnavailable, match=r"is not trusted: .*certificate verify failed") as caught:
        await queue.enqueue(jobs.echo, 1)

    assert caught.value.refused
    assert not caught.value.uncertain


@pytest.mark.parametrize(
    "connection",
    ["rediss://h/0?ssl_validate_ocsp=true", redis.Redis(ssl=True, ssl_validate_ocsp_stapled=True)],
    ids=["URL", "client"],
)
def test_a_check_that_cannot_be_made_is_refused_and_not_left_out(connection: Any) -> None:
    with pytest.raises(SettingsError, match=r"ssl_validate_ocsp.* is not possible here"):
        Queue(connection=connection)


@pytest.mark.parametrize("scheme", ["rediss", "sentinels"])
@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("ssl_weird=1", "ssl_weird"),
        ("ssl_cert_reqs=weird", "weird"),
        ("socket_type=1", "socket_type= is no text"),
        ("socket_keepalive_options=x", "socket_keepalive_options= is no text"),
        ("credential_provider=x", "credential_provider= is no text"),
        ("path=/x", "path"),
    ],
)
def test_what_no_connection_can_have_is_refused_before_there_is_one(
    scheme: str, option: str, reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        Queue(connection=f"{scheme}://127.0.0.1:1/{'m/' * (scheme == 'sentinels')}0?{option}")


@each_way
@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path"])
async def test_a_file_that_is_not_there_is_named_with_its_option(
    way: Any, name: str, server: TlsServer, authority: Authority
) -> None:
    tls = {"ssl_ca_certs": authority.certificate, name: "/no/such/file"}
    url = server.tls_url("&".join(f"{key}={value}" for key, value in tls.items()))
    with pytest.raises(OSError, match=f"{name}=/no/such/file: there is no such file"):
        await way(from_url(url))


def test_who_checks_nothing_is_warned(server: TlsServer, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "aqueue"):
        from_url(url)
        assert not caplog.records
        from_url(server.tls_url("ssl_cert_reqs=none"))

    assert "ssl_cert_reqs=none: whoever answers at rediss://127.0.0.1" in caplog.text
