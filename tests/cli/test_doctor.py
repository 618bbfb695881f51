"""`aqueue doctor`: real servers made wrong in each way, and told of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aqueue import Queue
from aqueue._redis import operations
from aqueue.cli.doctor.finding import Finding
from aqueue.cli.doctor.server import judge_server
from aqueue.cli.doctor.trust import judge_trust
from aqueue.connection import Namespace, open_namespace
from aqueue.health import ServerFacts, Unknown, server_facts
from tests.cli.conftest import Invoke, Open
from tests.clusters import IS_SHARED
from tests.servers import Server, free_port, redis_binary
from tests.support import claim, wait_until

Found = dict[str, dict[str, str]]

#: What the doctor knows more with, as SECURITY.md says.
may_ask = pytest.mark.more_rights("+info", "+config|get", "+acl|whoami")


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """A server with an append-only file, which tests change and change back."""
    with Server() as running:
        yield running


@pytest.fixture
def configure(durable: Server) -> Iterator[Callable[..., None]]:
    """Change settings of it for the test."""
    before: dict[str, Any] = {}
    with durable.client() as client:
        redis: Any = client

        def set_to(name: str, value: str) -> None:
            before.setdefault(name, redis.config_get(name)[name])
            redis.config_set(name, value)

        yield set_to
        for name, value in reversed(before.items()):
            redis.config_set(name, value)


@pytest.fixture
def visit(
    durable: Server, namespace: str, monkeypatch: pytest.MonkeyPatch, invoke: Invoke
) -> Callable[..., Found]:
    """Let the doctor look; what it found, by the name of the check."""
    monkeypatch.setenv("AQUEUE_NAMESPACE", namespace)

    def run(url: str = durable.url) -> Found:
        result = invoke("doctor", "-u", url, "--json")
        document = json.loads(result.stdout)
        checks: list[dict[str, str]] = document["checks"]
        assert document.keys() == {"problems", "checks", "damage"}
        assert document["problems"] == sum(check["level"] == "problem" for check in checks)
        assert result.exit_code == (1 if document["problems"] else 0)
        for check in checks:
            assert check.keys() == {"level", "check", "seen", "why", "change"}
            assert check["seen"]
            assert bool(check["why"]) == bool(check["change"]) == (check["level"] in ("advice", "problem"))
        return {check["check"]: check for check in checks}

    return run


Visit = Callable[..., Found]


def levels(found: Found) -> dict[str, str]:
    return {name: check["level"] for name, check in found.items() if check["level"] != "ok"}


async def serve(space: Namespace, *queues: str, worker_id: str = "w", lease_ms: int = 30_000) -> None:
    """A worker that beats once."""
    facts: dict[str, str | int] = {"name": worker_id, "queues": " ".join(queues), "state": "idle"}
    await space.client.run(
        operations.extend(space.keys, [], worker_id=worker_id, lease_ms=lease_ms, facts=facts)
    )


def acl(client: Any, *rules: str) -> None:
    client.execute_command("ACL", "SETUSER", *rules)


def at(server: Server, namespace: str) -> Queue:
    return Queue("default", server.url, namespace=namespace)


def test_a_healthy_place_has_no_problems(durable: Server, namespace: str, visit: Visit) -> None:
    asyncio.run(serve(open_namespace(durable.url, namespace=namespace), "default"))

    found = visit()

    assert levels(found) == {}
    assert found.keys() == {
        "latency", "version", "role", "persistence", "memory", "clock", "permissions", "trust", "workers",
        "queues", "data",
    }  # fmt: skip
    assert found["version"]["seen"].startswith("Valkey ")
    assert found["permissions"]["seen"].startswith("user default may do all")


@may_ask
@pytest.mark.skipif(IS_SHARED, reason="there is advice about clusters, too")
def test_people_are_told_what_was_seen_why_and_what_to_change(url: str, invoke: Invoke) -> None:
    result = invoke("doctor")

    assert (result.exit_code, result.stderr) == (1, "")
    assert (
        "problem  persistence  neither an append-only file nor snapshots\n"
        "                      why: a crash or restart of the server loses every job, "
        "enqueued and running jobs among it\n"
        "                      change: appendonly yes\n"
    ) in result.stdout
    assert result.stdout.endswith("\n1 problem, 1 piece of advice\n")


@may_ask
def test_a_terminal_shows_colours(url: str, open_terminal: Open) -> None:
    terminal = open_terminal("doctor")

    assert terminal.wait() == 1
    assert "\x1b[31mproblem " in terminal.output
    assert "\x1b[32mok " in terminal.output


@pytest.mark.parametrize(
    ("settings", "check", "level", "seen", "change"),
    [
        ({"appendonly": "no", "save": ""}, "persistence", "problem", "neither", "appendonly yes"),
        ({"appendonly": "no", "save": "60 1"}, "persistence", "problem", "snapshots alone (save 60 1)", ""),
        ({"appendfsync": "no"}, "persistence", "advice", "appendfsync no", "appendfsync everysec"),
        ({"appendfsync": "everysec"}, "persistence", "ok", "loses about a second", ""),
        ({"appendfsync": "always"}, "persistence", "ok", "loses nothing", ""),
        ({"maxmemory": "1gb"}, "memory", "ok", "0% of maxmemory used, noeviction", ""),
        ({"maxmemory": "1"}, "memory", "advice", "noeviction", "raise maxmemory"),
        ({"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"}, "memory", "problem", "allkeys-lru",
         "maxmemory-policy noeviction"),
        ({"maxmemory-policy": "allkeys-lru"}, "memory", "ok", "no maxmemory", ""),
    ],
)  # fmt: skip
def test_settings(
    settings: dict[str, str],
    check: str,
    level: str,
    seen: str,
    change: str,
    visit: Visit,
    configure: Callable[..., None],
) -> None:
    for name, value in settings.items():
        configure(name, value)

    found = visit()[check]

    assert found["level"] == level
    assert seen in found["seen"]
    assert change in found["change"]


def test_a_replica_is_a_problem_and_a_primary_that_waits_for_none_gets_advice(
    durable: Server, visit: Visit
) -> None:
    with Server("--replicaof", f"127.0.0.1 {durable.port}", aof=False) as replica:
        found = visit(replica.url)
        assert found["role"]["level"] == "problem"
        assert f"127.0.0.1:{durable.port}" in found["role"]["change"]
        with durable.client() as client:
            redis: Any = client
            asyncio.run(wait_until(lambda: redis.info("replication")["connected_slaves"]))
        assert visit()["replicas"]["level"] == "advice"


@pytest.mark.parametrize("binary", [None, redis_binary()], ids=["Valkey", "Redis"])
def test_what_a_user_may_not_do_is_named_with_the_line_that_allows_it(
    binary: str | None, namespace: str, visit: Visit
) -> None:
    rules = ["~*", "&*", "+@all", "-zadd", "-publish", "-config", "-info"]
    with Server(binary=binary, aof=False) as server:
        with server.client() as client:
            acl(client, "bob", "on", ">pw", *rules)
        url = server.url.replace("//", "//bob:pw@")
        found = visit(url)
        with server.client() as client:
            line = found["permissions"]["change"]
            assert line == "ACL SETUSER bob +publish +zadd"
            acl(client, *line.split()[2:])
        again = visit(url)

    assert found["permissions"]["level"] == "problem"
    assert found["permissions"]["seen"] == "user bob lacks +publish +zadd"
    for check in ("version", "role", "persistence", "memory"):
        assert found[check]["level"] == "unknown"
        assert "not checked: " in found[check]["seen"]
        assert "info" in found[check]["seen"]
    assert again["permissions"]["level"] == "ok"


def test_keys_and_channels_of_others_are_no_help(durable: Server, namespace: str, visit: Visit) -> None:
    url = durable.url.replace("//", "//eve:pw@")
    with durable.client() as client:
        acl(client, "eve", "on", ">pw", "~other:*", "+@all")
        found = visit(url)
        acl(client, "eve", "resetkeys", f"~{{{namespace}}}:*", f"&{{{namespace}}}:*")
        again = visit(url)

    assert found["permissions"]["level"] == "problem"
    assert found["permissions"]["seen"] == (
        f"user eve lacks ~{{{namespace}}}:* &{{{namespace}}}:* +subscribe +publish"
    )
    assert found["queues"]["level"] == "unknown"
    assert levels(again) == {"workers": "advice"}


def test_a_user_that_may_run_no_scripts(durable: Server, visit: Visit) -> None:
    with durable.client() as client:
        acl(client, "ann", "on", ">pw", "~*", "&*", "+@all", "-@scripting")

    found = visit(durable.url.replace("//", "//ann:pw@"))

    assert found["permissions"]["seen"] == "user ann lacks +evalsha"
    assert {"+evalsha", "+script|load", "+zadd"} < set(found["permissions"]["change"].split())


def test_commands_that_the_server_has_renamed_are_not_checked(namespace: str, visit: Visit) -> None:
    with Server("--rename-command", "INFO", "", "--rename-command", "CONFIG", "", aof=False) as server:
        found = visit(server.url)

    assert levels(found) == dict.fromkeys(("version", "role", "persistence", "memory"), "unknown") | {
        "workers": "advice"
    }


def test_a_silent_worker_and_different_leases(durable: Server, namespace: str, visit: Visit) -> None:
    async def fill() -> None:
        space = open_namespace(durable.url, namespace=namespace)
        await serve(space, "default", worker_id="slow")
        await serve(space, "default", worker_id="quick", lease_ms=5_000)

    asyncio.run(fill())
    found = visit()
    assert levels(found) == {"leases": "advice"}
    assert "5, 30 s" in found["leases"]["seen"]

    with durable.client() as redis:
        redis.hset(f"{{{namespace}}}:worker:slow", "heartbeat", 1)
        redis.hset(f"{{{namespace}}}:worker:slow", "name", "slow\x1b[31m")
    found = visit()
    assert levels(found) == {"workers": "advice"}
    assert "slow\\x1b[31m" in found["workers"]["seen"]


def test_queues_that_nobody_serves_or_that_are_paused(durable: Server, namespace: str, visit: Visit) -> None:
    async def fill() -> None:
        for name in ("served", "unserved", "paused", "later"):
            queue = Queue(name, durable.url, namespace=namespace)
            if name == "later":
                await queue.enqueue_in("1h", "m.f")
            else:
                await queue.enqueue("m.f")
        await Queue("paused", durable.url, namespace=namespace).pause()
        await serve(open_namespace(durable.url, namespace=namespace), "served")

    asyncio.run(fill())
    result = visit()

    assert levels(result) == {"queues": "advice"}
    assert result["queues"]["change"] == "aqueue resume paused"
    asyncio.run(Queue("paused", durable.url, namespace=namespace).delete())
    found = visit()["queues"]
    assert (found["level"], found["seen"]) == (
        "problem",
        "jobs wait that no running worker serves, in unserved",
    )
    assert found["change"] == "aqueue worker unserved"


def test_what_is_to_be_typed_is_quoted(durable: Server, namespace: str, visit: Visit) -> None:
    with durable.client() as redis:
        redis.sadd(f"{{{namespace}}}:queues", "a; reboot\x1b")
        redis.zadd(f"{{{namespace}}}:queue:a; reboot\x1b", {"x": 1})

    assert visit()["queues"]["change"] == "aqueue worker 'a; reboot\\x1b'"


def test_a_scheduled_job_that_is_due_waits_too(durable: Server, namespace: str, visit: Visit) -> None:
    asyncio.run(at(durable, namespace).enqueue_in("1h", "m.f", job_id="a"))
    assert visit()["queues"]["level"] == "ok"

    with durable.client() as redis:
        redis.zadd(f"{{{namespace}}}:scheduled:default", {"a": 1})
    assert visit()["queues"]["level"] == "problem"


def test_jobs_that_nobody_holds(durable: Server, namespace: str, visit: Visit) -> None:
    async def lose() -> None:
        queue = at(durable, namespace)
        await queue.enqueue("m.f", job_id="a")
        await claim(queue.space)
        await serve(queue.space, "default")

    asyncio.run(lose())
    assert levels(visit()) == {}

    with durable.client() as redis:
        redis.zincrby(f"{{{namespace}}}:started:default", -60_000, "a")
    found = visit()
    assert levels(found) == {"leases": "problem"}
    assert found["leases"]["seen"] == "1 job held by nobody, in default"


@pytest.fixture(scope="module")
def facts(durable: Server) -> ServerFacts:
    """What a healthy server tells, for what no server here can be made to say."""
    return asyncio.run(server_facts(durable.url))


def judged(facts: ServerFacts, check: str) -> Finding:
    [found] = [finding for finding in judge_server(facts) if finding.check == check]
    return found


def with_info(facts: ServerFacts, **info: str) -> ServerFacts:
    assert isinstance(facts.info, dict)
    rest = {name: value for name, value in facts.info.items() if name != "valkey_version"}
    return replace(facts, info=rest | info)


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("6.2.14", "problem"),
        ("7.0.0", "ok"),
        ("8.2.1", "ok"),
        ("10.0", "ok"),
        ("255.255.255", "ok"),
        ("", "unknown"),
    ],
)
def test_versions(version: str, level: str, facts: ServerFacts) -> None:
    assert judged(with_info(facts, redis_version=version), "version").level == level


@pytest.mark.parametrize(
    ("ahead", "level", "seen"),
    [
        (0.5, "ok", "0.50 s ahead of this machine's"),
        (-1.5, "advice", "1.50 s behind this machine's"),
        (90, "problem", "90.00 s ahead of this machine's"),
    ],
)
def test_clocks(ahead: float, level: str, seen: str, facts: ServerFacts) -> None:
    found = judged(replace(facts, ahead=ahead), "clock")

    assert (found.level, found.seen) == (level, seen)


def test_what_else_a_server_can_say(facts: ServerFacts) -> None:
    assert judged(replace(facts, latency=0.2), "latency").level == "advice"
    assert judged(with_info(facts, aof_last_write_status="err"), "disk").level == "problem"
    assert judged(with_info(facts, cluster_enabled="1"), "cluster").level == "advice"
    assert judged(with_info(facts, maxmemory="junk"), "memory").level == "ok"
    hidden = replace(facts, settings=Unknown("no"))
    assert judged(hidden, "persistence").level == "ok"
    assert judged(with_info(hidden, aof_enabled="0"), "persistence").level == "problem"
    nobody = replace(facts, user="USER", missing=["+get"], remedy=["+get"])
    assert judged(nobody, "permissions").change == "ACL SETUSER USER +get"


@pytest.mark.parametrize(
    ("url", "settings", "level", "seen"),
    [
        ("redis://localhost", {}, "ok", "on this machine"),
        ("redis://redis.example.com", {}, "problem", "pickled data, and no signing key"),
        ("redis://redis.example.com", {"AQUEUE_TRUST_REDIS": "1"}, "advice", "trusted without a signing key"),
        ("redis://redis.example.com", {"AQUEUE_SIGNING_KEY": "k" * 32}, "ok", "is signed"),
        ("redis://redis.example.com", {"AQUEUE_SERIALIZER": "json"}, "ok", "workers need --allow"),
    ],
)
def test_who_could_run_code(
    url: str, settings: dict[str, str], level: str, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AQUEUE_TRUST_REDIS", "AQUEUE_SIGNING_KEY", "AQUEUE_SERIALIZER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    found = judge_trust(open_namespace(url))

    assert (found.level, found.check) == (level, "trust")
    assert seen in found.seen
    assert ("AQUEUE_SIGNING_KEY" in found.change) == (level != "ok")


def test_an_unreachable_redis_is_exit_4_and_refused_credentials_78(server: Server, invoke: Invoke) -> None:
    assert invoke("doctor", "-u", f"redis://127.0.0.1:{free_port()}").exit_code == 4
    result = invoke("doctor", "-u", server.url.replace("//", "//nobody:s3cret@"))

    assert result.exit_code == 78
    assert "s3cret" not in result.stderr
