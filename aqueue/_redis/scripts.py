"""Load the Lua scripts and call them by the names in their headers.

Each `local name = KEYS[i] -- ...` or `ARGV[i]` line of a script is its contract: `bind` takes
exactly these names. `-- include: name` inserts `lua/lib/name.lua`, each once. Scripts are
called by SHA (EVALSHA), after SCRIPT LOAD where the server does not know them: what EVAL
loads can be evicted, and functions would be shared by old and new workers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from aqueue._redis.keys import ABSENT

#: What a Redis command is made of.
Argument = str | bytes | int | float

_BINDING = re.compile(r"^local (\w+)\s*= (?:tonumber\()?(KEYS|ARGV)\[(\d+)\]\)? -- ", re.MULTILINE)
_INCLUDE = re.compile(r"^-- include: (\w+)$", re.MULTILINE)
_COMMAND = re.compile(r'redis\.p?call\("(\w+)"')
_FLAGS = re.compile(r"^-- flags: ([\w,-]+)\n", re.MULTILINE)


class Script:
    """One Lua script: its text as the server gets it, its SHA, and the names of its slots."""

    def __init__(self, name: str, text: str, lines: Sequence[str]) -> None:
        self.name = name
        self.text = text
        #: Place in the sources of each line of `text`, for error messages.
        self.lines = lines
        self.sha: str = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.keys: tuple[str, ...] = _slots(text, "KEYS")
        self.args: tuple[str, ...] = _slots(text, "ARGV")
        #: Whether it may change something.
        self.writes: bool = "no-writes" not in text.partition("\n")[0]

    @cached_property
    def commands(self) -> frozenset[str]:
        """The commands that it calls."""
        return frozenset(_COMMAND.findall(self.text))

    def bind(self, *more: Argument, **values: Argument) -> tuple[list[str], list[Argument]]:
        """KEYS and ARGV for a call: the named slots, then the absent key and the arguments that follow them.

        Raises:
            TypeError: A name that the script does not have, or one that is missing.
        """
        try:
            keys = [str(values.pop(name)) for name in self.keys]
            args = [values.pop(name) for name in self.args]
        except KeyError as missing:
            raise TypeError(f"{self.name}.lua needs {missing}") from None
        if values:
            raise TypeError(f"{self.name}.lua has no {', '.join(values)}")
        tag = str((keys or args)[0]).partition("}")[0]  # without keys, the first argument is their prefix
        return [*keys, f"{tag}}}:{ABSENT}"], [*args, *more]

    def place(self, line: int) -> str:
        """The source of a line that the server named in an error."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else f"lua/{self.name}.lua"


def _slots(text: str, kind: str) -> tuple[str, ...]:
    found = [(int(index), name) for name, of, index in _BINDING.findall(text) if of == kind]
    return tuple(name for _, name in sorted(found))


def load(name: str, folder: Traversable | None = None) -> Script:
    """Read a script and its includes.

    Args:
        folder: Where the `.lua` files are; the package's own by default.
    """
    folder = files("aqueue._redis").joinpath("lua") if folder is None else folder
    source = folder.joinpath(f"{name}.lua").read_text("utf-8")
    flags = _FLAGS.search(source)
    lines = [f"#!lua flags={flags[1]}"] if flags else []
    places = [f"lua/{name}.lua:1"] if flags else []
    included: set[str] = set()

    def add(text: str, place: str) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            include = _INCLUDE.match(line)
            if include is None:
                lines.append(line)
                places.append(f"{place}:{number}")
            elif include[1] not in included:
                included.add(include[1])
                library = folder.joinpath("lib").joinpath(f"{include[1]}.lua")
                add(library.read_text("utf-8"), f"lua/lib/{include[1]}.lua")

    add(source, f"lua/{name}.lua")
    return Script(name, "\n".join(lines) + "\n", places)
