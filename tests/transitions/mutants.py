"""Every guard of the Lua scripts, taken away in turn.

The guards are found by rule in the sources, so a new one is a new mutant: each condition and each part of
one, each comparison that chooses a value, each read before the first write, each command that clears, each
mark, and what protects inside a line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aqueue._redis import mending, operations
from aqueue._redis.scripts import Script, load
from tests.transitions import lua_source as lua

#: Commands that clear something: what is left behind would come back to bite.
CLEARING = {
    "DEL",
    "UNLINK",
    "HDEL",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZREMRANGEBYRANK",
    "LTRIM",
    "PEXPIRE",
    "PEXPIREAT",
    "PERSIST",
}
#: Functions of ours that protect; the others are the change itself.
PROTECTING = {"typed", "given", "wake", "pull_back"}
#: Tables that remember what was done already.
MARKS = ("done", "seen", "overdue", "typed_queues")
#: A guard inside a line, and the line without it.
INSIDE = [
    ("redis.pcall(", "redis.call("),
    ('"XX", ', ""),
    ("math.max(0, ", "("),
    ("return answer(", "return ("),
]

_CONDITION = re.compile(r"^(\s*(?:if|elseif) )(.*)( then)$")
_OPERATOR = re.compile(r" (and|or) ")
_COMPARISON = re.compile(r" (?:==|~=|<=?|>=?) ")
_COMMAND = re.compile(r'^\s*redis\.p?call\("(\w+)".*\)$')
_OWN_CALL = re.compile(r"^\s*(\w+)\(.*\)$")
_MARK = re.compile(rf"^\s*(?:{'|'.join(MARKS)})\[\w+\] = .*$")

_SPARES = "what it spares would change nothing"
_OFTEN = "a key that is read once more says the same"
#: Mutants that nobody can notice: (file, part of the mutant's name) -> reason.
NO_GUARD = {
    ("claim", "if deadline then -> if true"): _SPARES,
    ("claim", "if is_replay then -> if true"): _SPARES,
    ("claim", "elseif RARE[name] then -> elseif true"): _SPARES,
    ("claim", "elseif is_rung[queue] then -> elseif true"): _SPARES,
    ("claim", "if delayed[queue] > 0 then -> if true"): _SPARES,
    ("claim", "-> local first = true and"): _SPARES,
    ("claim", '"queue:" .. queue) + delayed[queue] > 0 then -> if true'): _SPARES,
    ("claim", '"expiring:" .. queue) + delayed[queue] > 0 then -> if true'): _SPARES,
    ("delete", 'if registry ~= "" then -> if true'): _SPARES,
    ("enqueue", "-> local are_new = false"): _SPARES,
    ("enqueue", "if word ~= meant then -> if true"): _SPARES,
    ("enqueue", "-> counts[kind] = counts[kind] + (false"): _SPARES,
    ("enqueue", "-> counts.ttl = counts.ttl + (true"): _SPARES,
    ("enqueue", "if count > 0 then -> if true"): _SPARES,
    ("enqueue", "-> local front = true"): _SPARES,
    ("enqueue", "-> if true and #places + #due > 0"): _SPARES,
    ("lib/ended", "-> if keep >= 0 and true"): _SPARES,
    ("lib/found", "if ready[queue] == nil then -> if true"): _OFTEN,
    ("lib/typed", "if (typed_queues[queue] or 0) >= count then -> if false"): _SPARES,
    ("lib/typed", "-> if (false or 0) >= count"): _SPARES,
    ("lib/typed", "typed_queues[queue] = count -> (nothing)"): _SPARES,
    ("list", "-> if false"): "the long way gives the same page",
    ("list", '-> if registry ~= "queue" or false'): "the long way gives the same page",
    ("mend/jobs", "if readable[name] == nil then -> if true"): _OFTEN,
    ("mend/jobs", "if at <= (highest[subject] or -1) then -> if false"): _OFTEN,
    ("mend/jobs", "-> if at <= (false or -1)"): _OFTEN,
    ("settle", 'if kind == "retry" then -> if true'): _SPARES,
    ("settle", 'if kind == "finish" then -> if false'): _SPARES,
    ("settle", "unpack(false and FINISHED"): _SPARES,
    ("settle", "if h[4] then -> if true"): _SPARES,
    ("settle", 'if said ~= "ok" then -> if true'): _SPARES,
}


#: Every script of ours.
_SCRIPTS: dict[str, Script] = operations._SCRIPTS | {
    script.name: script for script in mending._MENDING.values()
}


@dataclass(frozen=True)
class Mutant:
    """One line of one file, changed."""

    #: "claim", "mend/jobs" or "lib/place".
    file: str
    line: int
    before: str
    after: str
    #: Of how many such lines in the file it is which.
    number: int

    @property
    def place(self) -> str:
        """The line, wherever it moves."""
        number = f" ({self.number})" if self.number > 1 else ""
        return f"{self.file}{number}: {self.before.strip()}"

    def __str__(self) -> str:
        return f"{self.place} -> {self.after.strip() or '(nothing)'}"

    @property
    def text(self) -> str:
        lines = lua.source(self.file).splitlines()
        lines[self.line - 1] = self.after
        return "\n".join(lines) + "\n"

    @cached_property
    def scripts(self) -> list[str]:
        """Those that hold the changed line."""
        place = f"lua/{self.file}.lua:{self.line}"
        return [name for name, script in _SCRIPTS.items() if place in script.lines]


def mutants() -> list[Mutant]:
    """All that somebody can notice."""
    return [
        mutant
        for mutant in all_mutants()
        if not any(file == mutant.file and part in str(mutant) for file, part in NO_GUARD)
    ]


def all_mutants() -> Iterator[Mutant]:
    """Each once."""
    seen: Counter[tuple[str, str]] = Counter()
    for file in lua.FILES:
        for at, line in enumerate(lua.source(file).splitlines(), 1):
            seen[file, line.strip()] += 1
            for after in dict.fromkeys(_changes(re.sub(r"\s*--.*", "", line))):
                yield Mutant(file, at, line, after, seen[file, line.strip()])


def _changes(line: str) -> Iterator[str]:
    condition, command, own = (pattern.match(line) for pattern in (_CONDITION, _COMMAND, _OWN_CALL))
    if condition:
        head, inner, tail = condition.groups()
        yield f"{head}true{tail}"
        yield f"{head}false{tail}"
        yield from (f"{head}{changed}{tail}" for changed in _without_parts(inner))
    elif command or own:
        if (command and command[1] in CLEARING | lua.READS) or (own and own[1] in PROTECTING):
            yield ""
    elif "function" not in line:
        yield from _without_comparisons(line)
    if _MARK.match(line):
        yield ""
    if own and own[1] == "typed":
        yield from (line.replace(name, "", 1) for name in re.findall(r', "\w+"', line))
    yield from (line.replace(guard, without) for guard, without in INSIDE if guard in line)


def _parts(text: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, whether `and` binds it) of each operand."""
    operators = list(_OPERATOR.finditer(text))
    starts = [0, *(match.end() for match in operators)]
    ends = [*(match.start() for match in operators), len(text)]
    words = ["", *(match[1] for match in operators), ""]
    for at, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first, last = _unmatched(text[start:end])
        yield start + first, start + last, "and" in words[at : at + 2]


def _unmatched(part: str) -> tuple[int, int]:
    """Where an operand begins and ends, without the brackets and values of the expression around it."""
    starts = [0]
    for at, letter in enumerate(part):
        if letter in "([{":
            starts.append(at + 1)
        elif letter == ",":
            starts[-1] = at + 2
        elif letter in ")]}" and len(starts) == 1:
            return starts[0], at
        elif letter in ")]}":
            starts.pop()
    return starts[-1], len(part)


def _without_parts(condition: str) -> Iterator[str]:
    if not _OPERATOR.search(condition):
        return
    for start, end, by_and in _parts(condition):
        yield condition[:start] + ("true" if by_and else "false") + condition[end:]


def _without_comparisons(line: str) -> Iterator[str]:
    """A comparison in an expression, taken as true and as false."""
    head, equals, expression = line.partition(" = ")
    if not equals:
        head, equals, expression = line.partition("return ")
    for start, end, _ in _parts(expression):
        if _COMPARISON.search(expression[start:end]):
            for value in ("true", "false"):
                yield head + equals + expression[:start] + value + expression[end:]


class Workshop:
    """A copy of the sources, in which one line at a time is changed, and the scripts in use with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in lua.FILES:
            path = folder / f"{name}.lua"
            path.parent.mkdir(exist_ok=True)
            path.write_text(lua.source(name))

    def change(self, mutant: Mutant) -> None:
        self._load(mutant, mutant.text)

    def restore(self, mutant: Mutant) -> None:
        self._load(mutant, lua.source(mutant.file))

    def _load(self, mutant: Mutant, text: str) -> None:
        self.write(mutant, text)
        for name in mutant.scripts:
            script, part = load(name, self.folder), name.removeprefix("mend/")
            if part == name:
                operations._SCRIPTS[name] = script
            else:
                mending._MENDING[part], mending._LOOKING[part] = script, mending._harmless(script)

    def write(self, mutant: Mutant, text: str) -> None:
        (self.folder / f"{mutant.file}.lua").write_text(text)
