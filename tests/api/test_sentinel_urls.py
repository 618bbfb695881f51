"""What a `sentinel://` URL and a client of `Sentinel.master_for` say, and what they may not."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from redis.asyncio import sentinel as for_loops
from redis.sentinel import Sentinel

from aqueue import Queue, SettingsError
from aqueue._redis.source import Source, from_client, from_url


def hosts(source: Source) -> list[tuple[str, int]]:
    assert source.sentinels is not None
    return list(source.sentinels.hosts)


def test_a_url_names_the_sentinels_the_master_and_the_database() -> None:
    source = from_url("sentinel://h1:26380,h2,[::1]:7/mymaster/3")

    assert source.sentinels is not None
    assert hosts(source) == [("h1", 26380), ("h2", 26379), ("::1", 7)]
    assert (source.sentinels.service, source.options, source.kind) == ("mymaster", {"db": 3}, "Connection")
    assert source.shown == "sentinel://h1:26380,h2,[::1]:7/mymaster/3"


@pytest.mark.parametrize(
    "url", ["sentinel://h/mymaster", "sentinel://h/mymaster/", "sentinel://h/my%6Daster/0"]
)
def test_the_database_is_0_where_none_is_given(url: str) -> None:
    source = from_url(url)

    assert source.sentinels is not None
    assert source.sentinels.service == "mymaster"
    assert source.options.get("db", 0) == 0


def test_redis_and_the_sentinels_have_credentials_of_their_own_and_none_is_shown() -> None:
    source = from_url(
        "sentinel://ann:p%40ss@h1,h2/m/0?sentinel_username=bob&sentinel_password=s%26cret&client_name=c"
    )

    assert source.sentinels is not None
    assert source.options == {"username": "ann", "password": "p@ss", "db": 0, "client_name": "c"}
    assert source.sentinels.options == {"username": "bob", "password": "s&cret"}
    assert source.shown == "sentinel://***@h1,h2/m/0"
    for text in (repr(source), str(source.sentinels)):
        assert not any(secret in text for secret in ("p@ss", "s&cret", "ann", "bob"))


def test_with_sentinels_all_connections_are_encrypted() -> None:
    source = from_url(
        "sentinels://h1,h2/m/0?ssl_ca_certs=/ca.pem&ssl_check_hostname=false&ssl_cert_reqs=required"
    )

    tls = {"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False, "ssl_cert_reqs": "required"}
    assert source.sentinels is not None
    assert source.kind == source.sentinels.kind == "SSLConnection"
    assert source.options == {"db": 0, **tls}
    assert source.sentinels.options == tls


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sentinel://h1:26379", "names no master: write sentinel://host:26379"),
        ("sentinel://h1:26379/", "names no master"),
        ("sentinel://h1:26379//0", "names no master"),
        ("sentinel:///mymaster/0", "'' is no sentinel's host:port"),
        ("sentinel://h1,,h2/mymaster", "'' is no sentinel's host:port"),
        ("sentinel://h1:port/mymaster", "'h1:port' is no sentinel's host:port"),
        ("sentinel://h1:70000/mymaster", "'h1:70000' is no sentinel's host:port"),
        ("sentinel://[::1/mymaster", "is no sentinel's host:port"),
        ("sentinel://h1/mymaster/zero", "the database 'zero' is no number"),
        ("sentinel://h1/mymaster/0/1", "the database '0/1' is no number"),
        ("sentinel://h1/mymaster?ssl=true", "no parameter 'ssl'; with TLS it is sentinels://"),
        ("sentinel://h1/mymaster?db=x", "Invalid value for 'db'"),
        ("sentinel://h1/mymaster?sentinel_passwort=x", "no parameter 'sentinel_passwort'"),
        ("sentinell://h1/mymaster", "must begin with redis://"),
    ],
)
def test_a_bad_url_is_refused_and_its_part_is_named(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match="cannot use the URL sentinel") as caught:
        Queue(connection=url)

    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["sentinel://ann:se/cret@h1/mymaster", "sentinel://ann:se#cret@h1/m", "sentinel://ann:se?cret@h1/m"],
)
def test_a_password_that_is_not_escaped_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Queue(connection=url)

    assert "se" not in str(caught.value).split("sentinel://")[1].split(":")[0]
    assert "cret" not in str(caught.value)
    assert "write / as %2F" in str(caught.value)


ForLoops: Any = for_loops.Sentinel


@pytest.mark.parametrize("kind", [ForLoops, Sentinel])
def test_a_client_made_by_master_for_says_the_same(kind: Any) -> None:
    sentinel = kind(
        [("h1", 1), ("h2", 2)],
        sentinel_kwargs={"username": "bob", "password": "secret"},
        force_master_ip="h9",
    )
    source = from_client(sentinel.master_for("mymaster", db=3, password="word", decode_responses=True))

    assert source.sentinels is not None
    assert hosts(source) == [("h1", 1), ("h2", 2)]
    assert source.sentinels.options.items() >= {"username": "bob", "password": "secret"}.items()
    assert source.options.items() >= {"db": 3, "password": "word"}.items()
    assert source.sentinels.named([b"h1", b"6379"]) == ("h9", 6379)
    assert source.shown == "sentinel://***@h1:1,h2:2/mymaster/3"


def test_its_tls_is_kept() -> None:
    sentinel = ForLoops([("h1", 1)], sentinel_kwargs={"ssl": True, "ssl_ca_certs": "/a"})
    source = from_client(sentinel.master_for("m", ssl=True, ssl_ca_certs="/b"))

    assert source.sentinels is not None
    assert source.kind == source.sentinels.kind == "SSLConnection"
    assert (source.options["ssl_ca_certs"], source.sentinels.options["ssl_ca_certs"]) == ("/b", "/a")
    assert source.shown == "sentinels://h1:1/m/0"


def test_a_client_of_replicas_is_refused() -> None:
    sentinel = ForLoops([("h1", 1)])

    with pytest.raises(SettingsError, match=r"client of replicas.*master_for"):
        Queue(connection=sentinel.slave_for("mymaster"))


def test_it_is_local_where_all_sentinels_are() -> None:
    assert from_url("sentinel://localhost,127.0.0.2:7,[::1]/m").is_local
    assert not from_url("sentinel://localhost,10.0.0.1/m").is_local
    with pytest.raises(SettingsError, match="is not on this machine"):
        Queue(connection="sentinel://localhost,redis.example.com/m")


def test_a_copy_for_another_process_has_all_of_it() -> None:
    source = from_url("sentinels://ann:pw@h1,h2:7/m/3?sentinel_password=x")
    copy = pickle.loads(pickle.dumps(source))

    assert copy.sentinels is not None
    assert source.sentinels is not None
    assert (copy.options, copy.kind, copy.shown) == (source.options, source.kind, source.shown)
    assert copy.sentinels.__reduce__() == source.sentinels.__reduce__()
