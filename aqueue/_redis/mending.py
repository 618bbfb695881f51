"""Find damage in a namespace, and mend it: operations that look at some keys, ids or names each.

A script looks and mends in one step, so what is found is true at that moment, whatever others do. For a dry
run the same script is loaded as one that may not write: the server itself sees to it that nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aqueue._core.options import DAY_MS, DEFAULT_FAILURE_TTL_MS, DEFAULT_RESULT_TTL_MS
from aqueue._core.record import CHANGING, NUMBERS
from aqueue._core.status import REGISTRY_OF
from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.scripts import Argument, Script, load

#: Keys, ids or names per call of a script; queues have more keys each.
BATCH = 50
QUEUES = 20
#: Keys per step of SCAN, members per step of ZSCAN.
PAGE = 500
#: Every zset of ids that a queue has.
LISTS = (*sorted(set(REGISTRY_OF.values())), "expiring")

#: Of workers whose record does not tell.
_LEASE_MS = 30_000

_PARTS = ("keys", "queues", "workers", "entries", "records", "jobs")
_MENDING = {part: load(f"mend/{part}") for part in _PARTS}


def _harmless(script: Script) -> Script:
    """The same script, which the server lets write nothing."""
    text = script.text.replace("flags=allow-oom", "flags=no-writes", 1)
    return Script(script.name, text, script.lines)


_LOOKING = {part: _harmless(script) for part, script in _MENDING.items()}


def _listed(names: frozenset[bytes]) -> str:
    return " ".join(sorted(name.decode() for name in names))


#: What the scripts take besides keys, ids and names.
_VALUES: dict[str, Argument] = {
    "failure_ttl_ms": DEFAULT_FAILURE_TTL_MS,
    "result_ttl_ms": DEFAULT_RESULT_TTL_MS,
    "day_ms": DAY_MS,
    "lease_ms": _LEASE_MS,
    "fixed": _listed(NUMBERS - CHANGING),
    "changing": _listed(NUMBERS & CHANGING),
    "numbers": _listed(NUMBERS),
}


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it should be."""

    kind: str
    #: A job's id, a queue's name, a key without the prefix, ...
    subject: str
    #: It cannot be mended, or not yet.
    is_left: bool


def mend(
    keys: Keys, part: str, names: Sequence[bytes], *, repair: bool, **more: str
) -> Operation[Sequence[Damage]]:
    """Look at these, and mend them if told so.

    Args:
        part: "keys", "queues", "workers", "entries" (of `registry` and `queue`), "records" or "jobs".
        names: At most 50 keys without the prefix, names or ids.
    """
    script = (_MENDING if repair else _LOOKING)[part]
    given = _VALUES | {
        "prefix": keys.prefix, "repair": "1" if repair else "",
        "queues_key": keys.queues, "workers_key": keys.workers, **more,
    }  # fmt: skip
    bound = script.bind(*names, **{name: given[name] for name in (*script.keys, *script.args)})
    return Operation(script, *bound, _damages)


def _damages(reply: list[bytes]) -> Sequence[Damage]:
    texts = [word.decode("utf-8", "replace") for word in reply]
    words = zip(texts[::3], texts[1::3], texts[2::3], strict=True)
    return [Damage(kind, subject, word == "left") for kind, subject, word in words]


@dataclass(frozen=True, slots=True)
class Page:
    """A step through many keys or members."""

    #: b"0": it was the last.
    cursor: bytes
    names: Sequence[bytes]


def scan(keys: Keys, pattern: str, cursor: bytes) -> Lookup[Page]:
    """Some keys of the namespace, without the prefix; `pattern` is what follows it."""
    command = ("SCAN", cursor, "MATCH", keys.prefix + pattern, "COUNT", PAGE)
    start = len(keys.prefix)
    return Lookup([command], lambda replies: Page(replies[0][0], [name[start:] for name in replies[0][1]]))


def members(key: str, cursor: bytes, *, scored: bool) -> Lookup[Page]:
    """Some members of a zset, or of a set."""
    command = ("ZSCAN" if scored else "SSCAN", key, cursor, "COUNT", PAGE)
    step = 2 if scored else 1
    return Lookup([command], lambda replies: Page(replies[0][0], replies[0][1][::step]))


def types(names: Sequence[str]) -> Lookup[list[str]]:
    """The type of each key, "none" for an absent one."""
    return Lookup([("TYPE", name) for name in names], lambda replies: [_text(reply) for reply in replies])


def size() -> Lookup[int]:
    """How many keys the server holds, those of others among them."""
    return Lookup([("DBSIZE",)], lambda replies: int(replies[0]))


def schema(keys: Keys) -> Lookup[str | None]:
    """Which layout the data has; None: the first one."""
    return Lookup([("GET", keys.schema)], lambda replies: None if replies[0] is None else _text(replies[0]))


def _text(raw: Any) -> str:
    return str(raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw)
