"""`aqueue doctor` and its `--repair` on damaged data: what people, programs and users with few rights see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aqueue._redis.permissions import acl_rules
from aqueue.cli.doctor.data import NEEDED
from aqueue.queue import Queue
from tests import tasks
from tests.cli.conftest import Invoke, Open
from tests.cli.hands import enqueue, statuses
from tests.servers import Server

pytestmark = pytest.mark.more_rights(*NEEDED.split())


@pytest.fixture
def db(server: Server) -> Iterator[Any]:
    with server.client() as client:
        yield client


@pytest.fixture
def prefix(queue: Queue, db: Any) -> str:
    """A job without a status and one in no queue; what their keys begin with."""
    keys = queue.space.keys
    enqueue(queue, tasks.add, 1, 2, job_id="bare")
    enqueue(queue, tasks.add, 1, 2, job_id="adrift")
    db.hdel(keys.job("bare"), "status")
    db.zrem(keys.registry("queue", "default"), "adrift")
    return keys.prefix


def test_a_dry_run_tells_what_is_damaged_and_what_would_be_done(prefix: str, db: Any, invoke: Invoke) -> None:
    before = db.zrange(prefix + "queue:default", 0, -1, withscores=True)

    result = invoke("doctor")

    assert result.exit_code == 1
    assert (
        "problem  data         a job's record has lost its status (1): bare\n"
        "                      why: it is never run, nor ended\n"
        "                      change: aqueue doctor --repair, to fail the job with this reason"
    ) in result.stdout
    assert "a queued job is in no queue (1): adrift\n" in result.stdout
    assert db.zrange(prefix + "queue:default", 0, -1, withscores=True) == before


def test_a_repair_tells_what_it_did_and_a_second_one_has_nothing_to_do(prefix: str, invoke: Invoke) -> None:
    result = invoke("doctor", "--repair")
    assert result.exit_code == 0
    assert (
        "mended   data         a queued job is in no queue (1): adrift\n"
        "                      why: it is never run, nor ended\n"
        "                      done: put it into its queue, behind its priority\n"
    ) in result.stdout
    assert result.stdout.endswith("\n2 mended, 0 left\n")
    assert statuses("bare", "adrift") == ["failed", "queued"]

    again = invoke("doctor", "--repair")
    assert (again.exit_code, again.stdout) == (
        0,
        "ok       data         nothing is damaged\n\n0 mended, 0 left\n",
    )


def test_programs_read_both_as_json(prefix: str, invoke: Invoke) -> None:
    def by_kind(document: Any) -> Any:
        for damage in document["damage"]:
            assert damage.keys() == {"kind", "count", "left", "samples", "found", "mending"}
        return {damage["kind"]: (damage["count"], damage["samples"]) for damage in document["damage"]}

    found = {"status_missing": (1, ["bare"]), "unfiled_queued": (1, ["adrift"])}
    dry = json.loads(invoke("doctor", "--json").stdout)
    assert by_kind(dry) == found
    wet = json.loads(invoke("doctor", "--repair", "--json").stdout)
    assert (by_kind(wet), wet["mended"], wet["left"]) == (found, 2, 0)
    again = json.loads(invoke("doctor", "--repair", "--json").stdout)
    assert again == {"mended": 0, "left": 0, "damage": []}


def test_what_others_wrote_is_kept_and_told_of(queue: Queue, db: Any, invoke: Invoke) -> None:
    prefix = queue.space.keys.prefix
    db.rpush(prefix + "job:\x1b[31m", "theirs")
    for unknown in ("colour", "hold:it", "meta"):
        db.set(prefix + unknown, "red")

    assert "foreign" not in invoke("doctor").stdout
    told = invoke("doctor", "--repair").stdout
    assert "job:\\x1b[31m" in told
    assert "3 keys that this version does not know: colour, hold:it, meta" in told
    [aside] = db.keys(prefix + "aside:*")
    assert db.lrange(aside, 0, -1) == [b"theirs"]
    assert "1 key of others, moved aside by a repair" in invoke("doctor").stdout
    db.delete(aside)
    assert "moved aside" not in invoke("doctor").stdout


def test_the_layout_of_a_newer_version_is_not_touched(prefix: str, db: Any, invoke: Invoke) -> None:
    db.set(prefix + "schema", "2")

    dry, wet = invoke("doctor"), invoke("doctor", "--repair")

    assert dry.exit_code == 1
    assert "problem  data         the data of namespace " in dry.stdout
    assert wet.exit_code == 2
    assert "has layout '2', this version knows 1: a newer aqueue wrote it" in wet.stderr
    assert not db.hexists(prefix + "job:bare", "status")


def test_a_user_that_may_not_look_is_told_which_commands_it_takes(
    prefix: str, queue: Queue, db: Any, server: Server, invoke: Invoke
) -> None:
    url = server.url.replace("//", "//mender:pw@")
    acl = ("ACL", "SETUSER", "mender", "reset", "on", ">pw", *acl_rules(queue.space.keys))
    db.execute_command(*acl)
    dry = invoke("doctor", "-u", url)
    assert f"besides what workers may do it takes {NEEDED}" in dry.stdout
    for command in NEEDED.split():
        db.rpush(prefix + "hold", "foreign")
        db.execute_command(*acl, *NEEDED.split(), command.replace("+", "-"))
        result = invoke("doctor", "--repair", "-u", url)
        assert (result.exit_code, NEEDED in result.stderr) == (78, True), command
    db.execute_command(*acl, *NEEDED.split())

    result = invoke("doctor", "--repair", "-u", url)

    db.execute_command("ACL", "DELUSER", "mender")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(", 0 left\n")
    assert statuses("bare", "adrift") == ["failed", "queued"]


def test_a_terminal_shows_how_far_it_is(prefix: str, open_terminal: Open) -> None:
    terminal = open_terminal("doctor", "--repair")

    assert terminal.wait() == 0
    assert "Mending the data" in terminal.output
    assert "\x1b[32mmended  " in terminal.output
