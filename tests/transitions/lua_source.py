"""The Lua sources as text, for the rules that need no server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import aqueue._redis
from aqueue._redis.scripts import load

FOLDER = Path(aqueue._redis.__file__).parent / "lua"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.lua"))
#: They look at data that may be damaged; only `aqueue doctor` calls them.
MENDING = sorted(f"mend/{path.stem}" for path in FOLDER.glob("mend/*.lua"))
#: What only these include.
MENDING_LIBRARIES = ["aside", "filed", "found", "record", "scores", "types"]
LIBRARIES = sorted({path.stem for path in FOLDER.glob("lib/*.lua")} - {*MENDING_LIBRARIES})
#: Every source.
FILES = (*SCRIPTS, *MENDING, *(f"lib/{name}" for name in sorted([*LIBRARIES, *MENDING_LIBRARIES])))

WRITES = {
    "DEL", "UNLINK", "SET", "HSET", "HDEL", "HINCRBY", "ZADD", "ZREM", "ZREMRANGEBYSCORE", "ZREMRANGEBYRANK",
    "SADD", "SREM", "LPUSH", "LTRIM", "PEXPIRE", "PEXPIREAT", "PERSIST",
}  # fmt: skip
READS = {
    "TIME", "EXISTS", "GET", "HGET", "HMGET", "HGETALL", "HLEN", "ZCARD", "ZCOUNT", "ZRANGE", "ZREVRANGE",
    "ZRANGEBYSCORE", "ZREVRANGEBYSCORE", "ZRANK", "ZSCORE", "SCARD", "SISMEMBER", "LLEN",
}  # fmt: skip
OTHERS = {"PUBLISH"}
#: What only mending calls, which workers and programs need no permission for.
OF_MENDING = {"TYPE", "PTTL", "RENAMENX"}

_KEYWORDS = {
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
}  # fmt: skip
_GIVEN = {
    "redis", "KEYS", "ARGV", "ipairs", "pairs", "tonumber", "table", "string", "math", "unpack", "select",
    "error",
}  # fmt: skip
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_CALL = re.compile(r'redis\.p?call\(("?)(\w+)\1')


def source(name: str) -> str:
    return (FOLDER / f"{name}.lua").read_text("utf-8")


def library(name: str) -> str:
    return source(f"lib/{name}")


def code(text: str) -> str:
    """Without comments."""
    return re.sub(r"--.*", "", text)


def calls(text: str) -> Iterator[tuple[str, str]]:
    """(command, the text of all its arguments) of each redis.call and redis.pcall."""
    text = code(text)
    for match in _CALL.finditer(text):
        yield match[2], _balanced(text, match.end(2) + len(match[1]))


def _balanced(text: str, start: int) -> str:
    """What follows, up to the parenthesis that closes the call; parentheses in strings do not count."""
    text = _STRING.sub(lambda match: re.sub(r"[()]", "_", match[0]), text)
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    raise AssertionError(f"no closing parenthesis after {text[start : start + 60]!r}")


def without_whole(arguments: str) -> str:
    """Without strings, without indexes, and without what goes through whole() or later()."""
    arguments = re.sub(r"\[.*?\]", "", _STRING.sub('""', arguments))
    while found := re.search(r"\b(?:whole|later)\(", arguments):
        inner = _balanced(arguments, found.end())
        arguments = arguments[: found.start()] + arguments[found.end() + len(inner) + 1 :]
    return arguments


def bindings(text: str) -> list[tuple[str, str, int]]:
    """(name, KEYS or ARGV, number) of each binding line, in order."""
    pattern = re.compile(r"^local (\w+)\s*= (?:tonumber\()?(KEYS|ARGV)\[(\d+)\]\)? -- \w+ ?", re.MULTILINE)
    return [(match[1], match[2], int(match[3])) for match in pattern.finditer(text)]


def functions(text: str) -> dict[str, str]:
    """Name -> body of each function at the top level."""
    found = re.findall(r"^local function (\w+)(\(.*?)^end$", code(text), re.MULTILINE | re.DOTALL)
    return dict(found)


def main_body(text: str) -> str:
    """What runs outside of functions."""
    return re.sub(r"^local function \w+\(.*?^end$", "", code(text), flags=re.MULTILINE | re.DOTALL)


def unknown_names(name: str) -> set[str]:
    """Names that a script uses and nobody has made local: they would be globals, which Redis refuses."""
    text = _STRING.sub('""', code(load(name).text.replace("#!lua", "--")))
    text = re.sub(r"(?:(?<=\.)|(?<=:))[A-Za-z_]\w*", "", text.replace("..", " "))
    declared: set[str] = set()
    lists = re.findall(r"\blocal ([\w, ]+?)(?: =|\n)|\bfor ([\w, ]+?) (?:=|in)|function \w*\(([^)]*)\)", text)
    for groups in lists:
        declared |= {part.strip() for group in groups for part in group.split(",")}
    declared |= set(re.findall(r"local function (\w+)", text))
    fields = set(re.findall(r"[{,]\s*(\w+) = ", text))  # of a table
    used = set(re.findall(r"\b[A-Za-z_]\w*", text))
    return used - _KEYWORDS - _GIVEN - declared - fields


def table(text: str, name: str) -> dict[str, str]:
    """A table constant: {finished = "finished", queued = true}."""
    match = re.search(rf"^local {name} = \{{(.*?)\}}", text, re.MULTILINE | re.DOTALL)
    assert match, f"no table {name}"
    return {key: value.strip('"') for key, value in re.findall(r'(\w+) = ("\w*"|true)', match[1])}
