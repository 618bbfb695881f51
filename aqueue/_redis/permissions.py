"""What a Redis user of ours must be allowed, and which of it one lacks.

A command that is forbidden in the middle of a script would leave half a change. So a worker asks for all of
it before its first job, and a program for the commands of each script before that script's first call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aqueue._redis.keys import Keys
from aqueue._redis.operations import Operation
from aqueue._redis.scripts import Argument, Script
from aqueue._redis.source import Source
from aqueue.errors import QueueUnavailable

#: Which of some calls this user may not make. They are compared with its rules, and none is made. A call that
#: lacks arguments would crash Valkey; a command that the server does not know is nobody's to permit.
_DENIED = Script(
    "denied",
    """#!lua flags=no-writes,allow-oom
local denied, at, number = {}, 1, 0
while redis.acl_check_cmd and at < #ARGV do
  local call = {}
  for part = 1, tonumber(ARGV[at]) do
    call[part] = ARGV[at + part]
  end
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(call))
  if is_known and not is_allowed then
    denied[#denied + 1] = number
  end
  at, number = at + #call + 1, number + 1
end
return denied
""",
    [],
)

#: Commands on a key, by what they take after it.
_FORMS: list[tuple[tuple[str, ...], str]] = [
    ((), "DEL EXISTS GET HGETALL HLEN LLEN MGET PERSIST SCARD SMEMBERS UNLINK ZCARD"),
    (("1",), "BLPOP HDEL HGET HMGET LPUSH PEXPIRE PEXPIREAT SADD SET SISMEMBER SREM ZRANK ZREM ZSCORE"),
    (("1", "2"), "HINCRBY HSET LRANGE LTRIM ZADD ZCOUNT ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE"),
    (("1", "2"), "ZREMRANGEBYRANK ZREMRANGEBYSCORE"),
]
_ON_KEYS = {command: rest for rest, commands in _FORMS for command in commands.split()}
_TELLING = frozenset({"+publish", "+subscribe"})

#: A rule of ACL SETUSER, and a call that needs it.
Need = tuple[str, tuple[Argument, ...]]


def acl_rules(keys: Keys, database: int = 0) -> list[str]:
    """What `ACL SETUSER` is to be given for programs and workers of a namespace, and nothing beyond it."""
    return list(dict.fromkeys(rule for rule, _ in _needs(keys, database)))


def missing_rules(keys: Keys, database: int = 0) -> Operation[Sequence[str]]:
    """Which of these rules the user lacks. One round trip, and no writes."""
    return _asking(_needs(keys, database))


def missing_for(operation: Operation[Any]) -> Operation[Sequence[str]]:
    """Which rules the user lacks for the commands of a script, on a key of its own.

    Telling those who wait (PUBLISH) is not among them: no script depends on it.
    """
    key = operation.keys[0]
    prefix = key.partition("}")[0] + "}:"
    on_keys = [_command(name, key) for name in operation.script.commands if name in _ON_KEYS]
    return _asking([_key(prefix, key), *on_keys])


def lacking(source: Source, missing: Sequence[str], remedy: Sequence[str]) -> QueueUnavailable:
    """The error for a user that lacks these rules; `remedy`: those to give it."""
    error = QueueUnavailable(
        f"Redis at {source.shown}: user {source.user} lacks permissions: {' '.join(missing)}. To give them: "
        f"ACL SETUSER {source.user} {' '.join(remedy)}"
    )
    error.refused, error.missing = True, tuple(missing)
    return error


def remedy(missing: Sequence[str], source: Source, keys: Keys) -> Sequence[str]:
    """What to give to who lacks these rules: all commands, too, where it cannot be told which are missing.

    Without scripts nothing is answered, and where keys are closed each command on them is refused. A pattern
    that is not known to be missing is left out: who may use all keys cannot be given some.
    """
    if not any(rule in ("+evalsha", "+script|load") or rule[0] == "~" for rule in missing):
        return missing
    commands = [rule for rule in acl_rules(keys, database_of(source)) if rule[0] == "+"]
    return list(dict.fromkeys([*missing, *commands]))


def database_of(source: Source) -> int:
    """The number of its database."""
    return int(source.options.get("db") or 0)


def _needs(keys: Keys, database: int) -> list[Need]:
    prefix, key = keys.prefix, keys.registry("queue", "default")
    done, commands = keys.done_channel("id"), keys.commands_channel("id")
    needs = [_key(prefix, name) for name in _every_kind(keys)]
    needs += [(f"&{prefix}*", ("SUBSCRIBE", commands)), (f"&{prefix}*", ("PUBLISH", commands, "m"))]
    plain: list[Need] = [
        ("+evalsha", ("EVALSHA", "sha", 0)),
        ("+script|load", ("SCRIPT", "LOAD", "text")),
        ("+ping", ("PING",)),
        ("+time", ("TIME",)),
        ("+subscribe", ("SUBSCRIBE", done)),
        ("+unsubscribe", ("UNSUBSCRIBE", done)),
        ("+publish", ("PUBLISH", done, "m")),
        ("+multi", ("MULTI",)),
        ("+exec", ("EXEC",)),
    ]
    if database:
        plain.append(("+select", ("SELECT", database)))
    return needs + plain + [_command(name, key) for name in sorted(_ON_KEYS)]


def _key(prefix: str, key: str) -> Need:
    """A call that may do anything to a key, and that needs no command but the one that asks."""
    return f"~{prefix}*", ("EVALSHA", "sha", 1, key)


def _command(name: str, key: str) -> Need:
    return f"+{name.lower()}", (name, key, *_ON_KEYS[name])


def _every_kind(keys: Keys) -> list[str]:
    """A key of each kind."""
    registries = ("queue", "scheduled", "deferred", "expiring", "started", "finished", "failed", "canceled")
    return [
        *(keys.registry(registry, "default") for registry in (*registries, "expired")),
        *(keys.job("id"), keys.result("id"), keys.history("id"), keys.reply("nonce"), keys.worker("id")),
        *(keys.meta("default"), keys.wake("default")),
        *(keys.queues, keys.workers, keys.heartbeat, keys.hold, keys.schema),
    ]


def _asking(needs: Sequence[Need]) -> Operation[Sequence[str]]:
    args: list[Argument] = [part for _, call in needs for part in (len(call), *call)]

    def decode(reply: list[int]) -> Sequence[str]:
        return _judge(needs, [needs[number] for number in reply])

    return Operation(_DENIED, [], args, decode)


def _judge(needs: Sequence[Need], denied: Sequence[Need]) -> Sequence[str]:
    """The rules behind denied calls: one is denied for its command, its key or its channel."""
    rules = dict.fromkeys(rule for rule, _ in denied)
    on_keys = {rule for rule, call in needs if call[0] in _ON_KEYS}
    if any(rule[0] == "~" for rule in rules) and on_keys <= rules.keys():
        rules = {rule: None for rule in rules if rule not in on_keys}
    forbidden = _TELLING & rules.keys()
    if len(forbidden) == 1:  # the other one tells whether its channels are open
        unheard = [
            rule for rule, call in denied if rule[0] == "&" and f"+{str(call[0]).lower()}" not in forbidden
        ]
        rules = {rule: None for rule in rules if rule[0] != "&" or unheard}
    return list(rules)
