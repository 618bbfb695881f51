"""S25 and S26: the smallest user is enough, and what one lacks is named before anything is touched."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aqueue
from aqueue import Job, Queue, QueueUnavailable, Worker
from aqueue._redis import client, connector, sync_client
from aqueue._redis.connector import Connector
from aqueue._redis.keys import Keys
from aqueue._redis.permissions import _ON_KEYS, acl_rules, missing_for
from aqueue._redis.scripts import load
from aqueue._redis.source import from_url
from aqueue.sync import Queue as SyncQueue
from tests.cli.conftest import Invoke
from tests.cli.conftest import invoke as invoke
from tests.clusters import one_database
from tests.security import jobs
from tests.servers import Server, redis_binary
from tests.transitions import lua_source
from tests.transitions.conftest import stage as stage
from tests.transitions.stage import Stage
from tests.worker.hands import burst, status

PAGE = Path(__file__).parents[2].joinpath("SECURITY.md").read_text("utf-8")
RULES = acl_rules(Keys("aqueue"))
ROOM = Path(aqueue.__file__).parent / "_redis"
#: For tests, for options, and for the doctor, who can do without; and the table that is checked here.
NOT_COUNTED = {"aging.py", "durability.py", "removal.py", "checkup.py", "mending.py", "permissions.py"}


def called() -> set[str]:
    """Commands that stand first in a tuple or a call of the room that knows Redis, and the scripts'."""
    found: set[str] = set()
    sources = [path.read_text("utf-8") for path in ROOM.glob("*.py") if path.name not in NOT_COUNTED]
    for text in sources:
        for node in ast.walk(ast.parse(text)):
            parts = node.elts if isinstance(node, ast.Tuple) else []
            parts = node.args if isinstance(node, ast.Call) else parts
            first = parts[0] if parts else None
            if isinstance(first, ast.Constant) and re.fullmatch("[A-Z]{3,}", str(first.value)):
                found.add(str(first.value))
    for name in lua_source.SCRIPTS:
        found |= set(re.findall(r'"([A-Z]{3,})"', lua_source.code(load(name).text)))
    return found - {"LIMIT", "WITHSCORES", "WRONGTYPE", "UNBLOCKED"}


def test_the_line_of_the_page_is_all_that_is_called_and_nothing_else() -> None:
    used = {f"+{name.lower()}" for name in called()} - {"+script"} | {"+script|load", "+unsubscribe"}

    assert used == {rule for rule in RULES if rule[0] == "+"}
    assert f"ACL SETUSER aqueue on >PASSWORD {' '.join(RULES)}" in " ".join(PAGE.split())


def test_no_rule_lets_anybody_administrate(server: Server) -> None:
    with server.client() as db:
        untyped: Any = db
        for category in ("admin", "dangerous"):
            forbidden = {raw.decode() for raw in untyped.execute_command("ACL", "CAT", category)}
            assert forbidden
            assert not forbidden & {rule[1:] for rule in RULES}


def test_what_tests_may_do_besides_is_named_in_the_documentation() -> None:
    folder = Path(__file__).parents[2]
    named = PAGE + folder.joinpath("docs/testing.md").read_text("utf-8")
    marks = [
        mark
        for path in folder.glob("tests/**/test_*.py")
        for mark in re.findall(r"mark\.more_rights\(([^)]*)\)", path.read_text("utf-8"))
    ]
    rules = {rule for mark in marks for rule in re.findall(r'"(\+[^"]+)"', mark)}

    assert {"+select", "+info", "+pexpiretime"} <= rules
    assert not [rule for rule in rules if rule not in re.split(r"[\s`,.]+", named)]
    assert not [mark for mark in marks if "@" in mark or not mark]


# -- at the start of a worker


@pytest.fixture
def rules(namespace: str) -> list[str]:
    """What a user of this test's namespace needs."""
    return acl_rules(Keys(namespace))


def as_told(stage: Stage, error: QueueUnavailable) -> None:
    """Do what the error says."""
    said = str(error)
    stage.db.execute_command(*said[said.index("ACL SETUSER") :].split())


@pytest.mark.parametrize("rule", RULES)
async def test_a_worker_names_each_rule_that_is_missing_and_touches_nothing(
    stage: Stage, server: Server, namespace: str, rules: list[str], rule: str
) -> None:
    await stage.failed("failed", failure_ttl=1)
    await stage.start("started")
    await stage.add("waiting")
    await stage.age(60)
    before = stage.digest()
    missing = rule.replace("{aqueue}", f"{{{namespace}}}")
    url = server.user(namespace, *(other for other in rules if other != missing))

    with pytest.raises(QueueUnavailable, match=re.escape(missing)) as caught:
        await Worker("default", url).work(burst=True)
    inseparable = ("+subscribe", "+publish") if rule[0] == "&" else ()
    assert (caught.value.refused, caught.value.missing) == (True, (missing, *inseparable))
    assert "secret" not in str(caught.value)
    assert stage.digest() == before

    as_told(stage, caught.value)
    assert await Worker("default", url).work(burst=True)


async def test_a_worker_names_all_that_is_missing_at_once(
    server: Server, namespace: str, rules: list[str], space: object
) -> None:
    lacking = {"+zadd", "+hset", "+publish", "+blpop"}
    url = server.user(namespace, *(rule for rule in rules if rule not in lacking))

    with pytest.raises(QueueUnavailable) as caught:
        await Worker("default", url, namespace=namespace).work(burst=True)

    assert set(caught.value.missing) == lacking


@pytest.mark.parametrize("rights", ["~* +@all", "&* +@all", "~* &* +@all -@scripting", "+@all -ping", ""])
async def test_the_lines_that_are_told_mend_it_all(stage: Stage, server: Server, rights: str) -> None:
    """One, unless the user lacks nearly all: without scripts nobody tells what else is missing."""
    url = server.user(stage.keys.namespace, "resetchannels", *rights.split())
    for _ in range(1 if "-@" not in rights and rights else 3):
        try:
            await Worker("default", url).work(burst=True)
        except QueueUnavailable as error:
            as_told(stage, error)

    async with Queue("default", url) as queue:
        job = await queue.enqueue(jobs.echo, 5)
        await burst(queue)
        assert await job.wait(timeout=5) == 5


@pytest.mark.parametrize(
    ("option", "needed"),
    [
        pytest.param("/3", "+select", marks=one_database),
        ("/0?client_name=a", "+client|setname"),
    ],
)
async def test_what_a_url_asks_for_needs_one_more(
    stage: Stage, server: Server, rules: list[str], option: str, needed: str
) -> None:
    assert f"`{needed}`" in PAGE
    url = server.user(stage.keys.namespace, *rules).replace("/0", option)

    with pytest.raises(QueueUnavailable) as caught:
        await Worker("default", url).work(burst=True)

    assert caught.value.missing == (needed,)
    as_told(stage, caught.value)
    await Worker("default", url).work(burst=True)


@pytest.mark.parametrize("missing", ["+zadd", "+evalsha", "+ping"])
async def test_the_command_ends_with_78_and_the_line(
    stage: Stage, server: Server, rules: list[str], missing: str, invoke: Invoke
) -> None:
    name = stage.keys.namespace
    url = server.user(name, *(rule for rule in rules if rule != missing))

    ended = await asyncio.to_thread(invoke, "worker", "-u", url, "--burst")

    assert ended.exit_code == 78
    assert re.search(rf"ACL SETUSER {name} .*{re.escape(missing)}", ended.stderr)
    assert "right user and password" not in ended.stderr


async def test_redis_itself_is_asked_the_same_way(namespace: str) -> None:
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server here")
    with Server(aof=False, binary=binary) as server:
        rules = acl_rules(Keys(namespace))
        for missing in ("+zadd", "+evalsha"):
            url = server.user("small", *(rule for rule in rules if rule != missing))
            with pytest.raises(QueueUnavailable, match="ACL SETUSER small ") as caught:
                await Worker("default", url, namespace=namespace).work(burst=True)
            assert caught.value.missing == (missing,)
        async with Queue("default", server.user("small", *rules), namespace=namespace) as queue:
            job = await queue.enqueue(jobs.echo, 5)
            await burst(queue)
            assert await job.wait(timeout=5) == 5


# -- before a program's first call

VERBS: dict[str, Callable[[Queue], Any]] = {
    "enqueue": lambda queue: queue.enqueue(jobs.echo, 1, job_id="new", ttl=60),
    "enqueue a failed id": lambda queue: queue.enqueue(jobs.echo, 1, job_id="failed"),
    "enqueue later": lambda queue: queue.enqueue_in(60, jobs.echo, 1, job_id="new"),
    "enqueue many": lambda queue: queue.enqueue_many([Queue.prepare_data(jobs.echo, (1,))] * 3),
    "cancel": lambda queue: queue.remove("waiting"),
    "requeue": lambda queue: queue.failed_job_registry.requeue("failed"),
    "delete": lambda queue: queue.failed_job_registry.remove("failed"),
    "pause": lambda queue: queue.pause(),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_program_never_leaves_half_a_change(
    stage: Stage, server: Server, rules: list[str], verb: str
) -> None:
    """With each command of the verb's script forbidden in turn: it is named, and nothing is done."""
    await stage.failed("failed")
    await stage.add("waiting", ttl=60_000)
    before = stage.digest()
    for command in sorted(load(verb.partition(" ")[0]).commands & _ON_KEYS.keys()):
        missing = f"+{command.lower()}"
        url = server.user(stage.keys.namespace, *(rule for rule in rules if rule != missing))
        forget(url)
        async with Queue("default", url) as queue:
            with pytest.raises(QueueUnavailable) as caught:
                await VERBS[verb](queue)
        assert caught.value.missing == (missing,)
        assert stage.digest() == before, command


def test_a_blocking_program_does_not_either(stage: Stage, server: Server, rules: list[str]) -> None:
    url = server.user(stage.keys.namespace, *(rule for rule in rules if rule != "+zadd"))

    with pytest.raises(QueueUnavailable, match=r"lacks permissions: \+zadd"):
        SyncQueue("default", url).enqueue(jobs.echo, 1)

    assert stage.digest() == {}


def forget(url: str) -> Connector:
    """Make this process know nothing of that Redis."""
    made = connector._by_url[url] = Connector(from_url(url))
    return made


async def test_it_is_asked_once_for_each_script(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counting(operation: Any) -> Any:
        asked.append(operation.script.name)
        return missing_for(operation)

    monkeypatch.setattr(client, "missing_for", counting)
    monkeypatch.setattr(sync_client, "missing_for", counting)
    forget(url)

    async def produce() -> None:
        queue = Queue("default", url)
        for _ in range(2):
            job = await queue.enqueue(jobs.echo, 1)
            await job.cancel()
            await queue.count()

    for _ in range(2):  # loops come and go
        await asyncio.to_thread(asyncio.run, produce())
    await asyncio.to_thread(SyncQueue("default", url).enqueue, jobs.echo, 1)
    assert asked == ["enqueue", "cancel"]
    await burst(["default"], connection=url)
    assert asked == ["enqueue", "cancel"]


# -- who only looks


async def test_the_readers_line_lets_one_look_and_change_nothing(
    stage: Stage, server: Server, invoke: Invoke
) -> None:
    found = re.search(r"ACL SETUSER looker on >PASSWORD ([^`]+)", PAGE)
    assert found is not None
    name = stage.keys.namespace
    url = server.user(name, *found[1].replace("{aqueue}", f"{{{name}}}").split())
    await stage.failed("failed")
    await stage.add("waiting")
    before = stage.digest()

    for words in (
        ["info"],
        ["jobs"],
        ["jobs", "failed", "--newest"],
        ["show", "failed"],
        ["show", "waiting"],
    ):
        ended = await asyncio.to_thread(invoke, *words, "-u", url)
        assert (ended.exit_code, ended.stderr) == (0, ""), words
    async with Queue("default", url) as queue:
        job = await Job.fetch("waiting", url)
        assert (await status(job), await queue.count(), await job.get_position()) == ("queued", 1, 0)
        for verb, call in VERBS.items():
            with pytest.raises(QueueUnavailable, match="lacks permissions"):
                await call(queue)
            assert stage.digest() == before, verb
