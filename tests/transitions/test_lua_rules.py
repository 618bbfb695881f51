"""The rules that every Lua script keeps, read off the sources."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from aqueue._core.options import MAX_PRIORITY
from aqueue._core.outcome import Finished, Lease
from aqueue._core.record import JobRecord
from aqueue._core.status import ENDED, REGISTRY_OF, WAITING, JobStatus
from aqueue._redis import operations, scripts
from aqueue._redis.keys import Keys
from aqueue._redis.operations import NewJob, Operation
from tests.transitions import lua_source as lua
from tests.transitions.stage import Stage

READ_ONLY = {"count", "list", "position"}
#: Longer than the usual 80 lines, because they do one thing for many jobs and queues.
LONG = {
    "enqueue": 165,
    "claim": 180,
    "settle": 165,
    "recover": 125,
    "mend/jobs": 130,
    "mend/keys": 97,
    "mend/records": 105,
}
#: Exact answers of these need every id that is past its ttl; prune keeps them few.
UNBOUNDED = {"list", "position"}

each_operation = pytest.mark.parametrize("name", lua.SCRIPTS)
each_script = pytest.mark.parametrize("name", [*lua.SCRIPTS, *lua.MENDING])
each_library = pytest.mark.parametrize("name", [*lua.LIBRARIES, *lua.MENDING_LIBRARIES])


# -- headers


def test_every_script_is_an_operation() -> None:
    assert set(operations._SCRIPTS) == set(lua.SCRIPTS)


@each_script
def test_flags_let_everything_but_enqueue_run_when_memory_is_full(name: str) -> None:
    expected = {"enqueue": None, **dict.fromkeys(READ_ONLY, "no-writes")}.get(name, "allow-oom")
    first = lua.source(name).partition("\n")[0]

    assert first.startswith("-- flags: ") == (expected is not None)
    assert expected is None or first == f"-- flags: {expected}"
    assert scripts.load(name).text.startswith("#!lua flags=") == (expected is not None)


@each_script
def test_a_script_opens_with_what_it_does_and_what_it_replies(name: str) -> None:
    header = lua.source(name).partition("\nlocal ")[0].removeprefix("-- flags: allow-oom\n")
    header = header.removeprefix("-- flags: no-writes\n")

    assert re.match(rf"-- {name.replace('/', ' ')}\b[\w, ]*: \S", header)
    assert re.search(r"^-- Replies  \S", header, re.MULTILINE)
    assert all(line.startswith("--") for line in header.splitlines())


@each_library
def test_a_library_opens_with_what_it_does(name: str) -> None:
    assert re.match(r"-- \S", lua.library(name))


@each_script
def test_slots_are_named_without_gaps_keys_first(name: str) -> None:
    found = lua.bindings(lua.source(name))
    keys = [number for _, kind, number in found if kind == "KEYS"]
    args = [number for _, kind, number in found if kind == "ARGV"]

    assert [kind for _, kind, _ in found] == ["KEYS"] * len(keys) + ["ARGV"] * len(args)
    assert (keys, args) == (list(range(1, len(keys) + 1)), list(range(1, len(args) + 1)))
    assert len({slot for slot, _, _ in found}) == len(found)


@each_script
def test_every_slot_is_used_by_its_name_only(name: str) -> None:
    text = lua.code(scripts.load(name).text)

    for slot, kind, number in lua.bindings(lua.source(name)):
        assert len(re.findall(rf"\b{slot}\b", text)) >= 2, slot
        assert text.count(f"{kind}[{number}]") == 1, slot
    assert set(re.findall(r"KEYS\[(.*?)\]", text)) <= {str(n) for n in range(10)}


# -- commands


@each_script
def test_only_known_commands_are_called(name: str) -> None:
    text = scripts.load(name).text
    commands = {command for command, _ in lua.calls(text)}

    more: set[str] = {"command"} if name == "list" else lua.OF_MENDING if name in lua.MENDING else set()
    assert commands <= lua.WRITES | lua.READS | lua.OTHERS | more
    assert text.count("redis.call(") + text.count("redis.pcall(") == len(list(lua.calls(text)))


@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_reads_write_nothing(name: str) -> None:
    assert not {command for command, _ in lua.calls(scripts.load(name).text)} & (lua.WRITES | lua.OTHERS)


@each_script
def test_data_is_opaque_and_nothing_is_random(name: str) -> None:
    text = lua.code(scripts.load(name).text)

    assert not re.search(r"\b(cjson|cmsgpack|struct|bit|tostring|loadstring|random|os|setmetatable)\b", text)


@each_script
def test_numbers_are_written_with_all_their_digits(name: str) -> None:
    text = scripts.load(name).text
    numbers = {"now", *re.findall(r"^local (\w+)\s*= tonumber", text, re.MULTILINE)}

    for command, arguments in lua.calls(text):
        if command in lua.WRITES:
            bare = lua.without_whole(arguments)
            assert not re.search(r" [-+*/%^] ", bare), f"{command}{arguments}"
            assert not numbers & set(re.findall(r"\w+", bare)), f"{command}{arguments}"


@each_script
def test_numbers_become_text_only_through_whole(name: str) -> None:
    text = lua.code(scripts.load(name).text)

    assert set(re.findall(r"string\.format\((.*?),", text)) <= {'"%.0f"'}
    assert not re.search(r"\.\. (?:now|lost|seq|front)\b", text)


def _writers(bodies: dict[str, str]) -> set[str]:
    """Functions that write, and functions that call these."""
    writers: set[str] = set()
    while (
        more := {
            name
            for name, body in bodies.items()
            if {command for command, _ in lua.calls(body)} & lua.WRITES
            or any(re.search(rf"\b{writer}\(", body) for writer in writers)
        }
        - writers
    ):
        writers |= more
    return writers


def _steps(text: str) -> Iterator[tuple[str, int]]:
    """What the script's own lines do, and where: "read" or "write", by a command or a function."""
    bodies = lua.functions(text)
    writers = _writers(bodies)
    for found in re.finditer(r'redis\.p?call\("(\w+)"|\b(\w+)\(', lua.main_body(text)):
        if found[1] and found[1] != "TIME":
            yield "write" if found[1] in lua.WRITES else "read", found.start()
        elif found[2] in bodies:
            yield "write" if found[2] in writers else "read", found.start()


@each_operation
def test_a_read_comes_before_the_first_write(name: str) -> None:
    order = [step for step, _ in _steps(scripts.load(name).text)]

    assert order[0] == "read"
    assert name in READ_ONLY or "write" in order


@each_script
def test_no_argument_is_taken_for_a_number_after_the_first_write(name: str) -> None:
    text = scripts.load(name).text
    body = lua.main_body(text)
    first = min((at for step, at in _steps(text) if step == "write"), default=len(body))

    assert "tonumber(ARGV" not in body[first:]
    assert not any("tonumber(ARGV" in function for function in lua.functions(text).values())


@each_script
def test_numbers_that_are_none_are_refused(name: str) -> None:
    text = lua.code(lua.source(name))
    looked_at = {
        part.strip()
        for given in re.findall(r"^given\((.*)\)$", text, re.MULTILINE)
        for part in given.split(",")
    }
    numbers = {*re.findall(r"^local (\w+)\s*= tonumber\(ARGV", text, re.MULTILINE)}

    assert name in READ_ONLY or numbers == looked_at


@each_script
def test_only_one_place_counts(name: str) -> None:
    """Elsewhere, a counter that is no number would end a call halfway."""
    text = scripts.load(name).text

    assert text.count('"HINCRBY"') == ("local function counted(" in text)


@each_script
def test_ranges_are_bounded(name: str) -> None:
    for command, arguments in lua.calls(scripts.load(name).text):
        if "RANGE" in command and not command.startswith("ZREMRANGE") and name not in UNBOUNDED:
            is_first = re.search(r", 0, (0|free - 1)(, |$)", arguments)
            assert is_first or re.search(r'"LIMIT", 0, (100|limit)\b', arguments), arguments


# -- shape


@each_script
def test_scripts_are_short(name: str) -> None:
    assert len(lua.source(name).splitlines()) <= LONG.get(name, 80)


@pytest.mark.parametrize("name", LONG)
def test_no_script_may_be_much_longer_than_it_is(name: str) -> None:
    assert 80 < len(lua.source(name).splitlines()) > LONG[name] - 10


@each_library
def test_libraries_are_short(name: str) -> None:
    assert len(lua.library(name).splitlines()) <= 28


@pytest.mark.parametrize("name", [*lua.SCRIPTS, *(f"lib/{name}" for name in lua.LIBRARIES)])
def test_lines_are_tidy(name: str) -> None:
    text = lua.source(name)

    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert not re.search(r"[ \t]$|\t", text, re.MULTILINE)
    assert max(map(len, lua.code(text).splitlines())) <= 180


@each_script
def test_no_name_is_global(name: str) -> None:
    assert lua.unknown_names(name) == set()


@each_script
async def test_the_server_compiles_it(stage: Stage, name: str) -> None:
    script = scripts.load(name)

    assert stage.db.script_load(script.text) == script.sha


@each_script
def test_every_include_is_used(name: str) -> None:
    text = scripts.load(name).text
    for included in re.findall(r"^-- include: (\w+)$", lua.source(name), re.MULTILINE):
        made = set(re.findall(r"^local (?:function )?(\w+)", lua.library(included), re.MULTILINE))
        rest = lua.code(text.replace(lua.library(included), ""))
        assert any(re.search(rf"\b{made_name}\b", rest) for made_name in made), included


@each_library
def test_every_library_is_included(name: str) -> None:
    assert any(f"-- include: {name}\n" in path.read_text() for path in lua.FOLDER.rglob("*.lua"))


# -- what stands in Lua and in Python


def test_ended_jobs_are_filed_as_python_says() -> None:
    assert lua.table(lua.library("registry"), "REGISTRY") == {status: REGISTRY_OF[status] for status in ENDED}


def test_delete_knows_every_status_but_started() -> None:
    expected = {status: REGISTRY_OF.get(status, "") for status in JobStatus if status != "started"}
    assert lua.table(lua.source("delete"), "REGISTRY") == expected


def test_the_ids_of_live_jobs_are_taken() -> None:
    assert lua.table(lua.source("enqueue"), "LIVE").keys() == WAITING | {JobStatus.STARTED}


def test_what_can_be_canceled_at_once_is_what_waits() -> None:
    expected = {status: REGISTRY_OF[status] for status in WAITING} | {"created": ""}
    assert lua.table(lua.source("cancel"), "WAITS_IN") == expected


def test_places_of_all_priorities_are_exact_doubles() -> None:
    text = lua.source("enqueue") + lua.library("place")

    assert re.findall(r"STEP = (\d+)", text) == [str(2**46)] * 2
    assert (MAX_PRIORITY + 1) * 2**46 < 2**53


def test_a_call_takes_as_many_jobs_as_python_sends() -> None:
    assert operations.BATCH == 100
    assert f'"LIMIT", 0, {operations.BATCH})' in lua.library("promote")


def test_tombstones_and_answers_live_equally_long() -> None:
    assert '"PEXPIRE", job_key, 60000)' in lua.source("settle")
    assert '"PX", 60000)' in lua.library("once")


# -- contracts

KEYS = Keys("test")
LEASE = Lease(JobRecord("a", {b"queue": b"q"}), "w:n:1")
BUILT: dict[str, Operation[object]] = {
    operation.script.name: operation  # type: ignore[misc]
    for operation in (
        operations.enqueue(KEYS, "q", [NewJob("a", "n", ["function", "f"])]),
        operations.promote(KEYS, ["q"]),
        operations.claim(KEYS, ["q"], worker_id="w", name="w", nonce="n", limit=1, lease_ms=1),
        operations.extend(KEYS, [LEASE], worker_id="w", lease_ms=1, facts={}),
        operations.settle(KEYS, [(LEASE, Finished(None))]),
        operations.recover(KEYS, ["q"], lease_ms=1),
        operations.cancel(KEYS, "a", nonce="n"),
        operations.requeue(KEYS, ["a"], nonce="n"),
        operations.delete(KEYS, ["a"], nonce="n"),
        operations.prune(KEYS, ["q"]),
        operations.amend(KEYS, "a", b""),
        operations.pause(KEYS, "q", paused=True),
        operations.drop(KEYS, "q"),
        operations.leave(KEYS, "w"),
        operations.count(KEYS, [("queue", "q")]),
        operations.list_ids(KEYS, "queue", "q", offset=0, limit=1),
        operations.position(KEYS, "q", "a"),
    )
}


@each_operation
def test_each_operation_fills_the_slots_of_its_script(name: str) -> None:
    operation = BUILT[name]

    assert len(operation.keys) == len(operation.script.keys) + 1
    assert operation.keys[-1] == "{test}:absent"
    assert len(operation.args) >= len(operation.script.args)
    assert all(key.startswith("{test}:") for key in operation.keys)


def test_a_slot_that_is_missing_or_unknown_is_named() -> None:
    script = scripts.load("drop")

    with pytest.raises(TypeError, match=r"drop\.lua needs 'prefix'"):
        script.bind(queues_key="k")
    with pytest.raises(TypeError, match=r"drop\.lua has no colour"):
        script.bind(queues_key="k", prefix="p", queue="q", colour="red")


def test_a_line_of_the_loaded_text_is_found_in_its_source() -> None:
    script = scripts.load("claim")
    lines = script.text.splitlines()

    for fragment, place in [("local function expire(", "lua/lib/expire.lua:2"), ("#!lua", "lua/claim.lua:1")]:
        (at,) = [number for number, line in enumerate(lines, 1) if line.startswith(fragment)]
        assert script.place(at) == place
    assert script.place(10**6) == "lua/claim.lua"
