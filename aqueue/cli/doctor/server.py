"""Judge a server: version, role, persistence, memory, clock, permissions. Facts in, findings out; no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aqueue.cli.doctor.finding import Finding
from aqueue.health import ServerFacts, Unknown

#: Seconds: a round trip that is worth a word, and clocks that differ.
SLOW = 0.05
ASTRAY, FAR_ASTRAY = 1.0, 60.0
#: The part of maxmemory that is worth a word.
NEARLY_FULL = 0.9

_OLDEST = (7, 0)


def judge_server(facts: ServerFacts) -> Iterator[Finding]:
    """All that can be said."""
    yield _latency(facts.latency)
    if isinstance(facts.info, Unknown):
        for check in ("version", "role", "persistence", "memory"):
            yield _unknown(check, facts.info)
    else:
        yield _version(facts.info)
        yield from _role(facts.info, facts.settings)
        yield _persistence(facts.info, facts.settings)
        yield from _writes(facts.info)
        yield _memory(facts.info)
    yield _clock(facts.ahead)
    yield _permissions(facts)


def _unknown(check: str, fact: Unknown) -> Finding:
    return Finding("unknown", check, f"not checked: {fact.reason}")


def _latency(seconds: float) -> Finding:
    seen = f"answers in {seconds * 1000:.2g} ms"
    if seconds < SLOW:
        return Finding("ok", "latency", seen)
    return Finding(
        "advice", "latency", seen, "each enqueue, claim and outcome waits for a round trip",
        "run workers and programs near their Redis",
    )  # fmt: skip


def _version(info: Mapping[str, str]) -> Finding:
    if "valkey_version" in info:
        return Finding("ok", "version", f"Valkey {info['valkey_version']}")
    text = info.get("redis_version", "")
    parts = tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())
    if not parts:
        return Finding("unknown", "version", "not checked: the server does not tell its version")
    if parts >= _OLDEST:
        return Finding("ok", "version", f"Redis {text}")
    return Finding(
        "problem", "version", f"Redis {text}",
        "servers before 7.0 refuse scripts that declare what they do, so nothing can be claimed or recorded",
        "install Redis 7.0 or newer, or Valkey",
    )  # fmt: skip


def _role(info: Mapping[str, str], settings: Mapping[str, str] | Unknown) -> Iterator[Finding]:
    if info.get("role") == "slave":
        primary = f"{info.get('master_host', '?')}:{info.get('master_port', '?')}"
        yield Finding(
            "problem", "role", f"a replica of {primary}", "replicas refuse every write (READONLY)",
            f"name the primary, {primary}, with --url or AQUEUE_URL",
        )  # fmt: skip
    else:
        yield Finding("ok", "role", "takes writes")
    if info.get("cluster_enabled") == "1":
        yield Finding(
            "advice", "cluster", "a node of a cluster",
            "one node is spoken to: once another has the namespace's slot, as after a failover, every call "
            "is refused (MOVED), and workers end after five minutes",
            "use a server outside of a cluster, with sentinels; or name the other node then, with --url",
        )  # fmt: skip
    is_bare = not isinstance(settings, Unknown) and settings.get("min-replicas-to-write") == "0"
    if info.get("connected_slaves", "0") != "0" and is_bare:
        yield Finding(
            "advice", "replicas", f"{info['connected_slaves']} connected, and no write waits for any",
            "a failover loses what the replicas had not received",
            "min-replicas-to-write 1",
        )  # fmt: skip


def _persistence(info: Mapping[str, str], settings: Mapping[str, str] | Unknown) -> Finding:
    if info.get("aof_enabled") == "1":
        return _aof(settings)
    change = "appendonly yes"
    if isinstance(settings, Unknown):
        seen, lost = (
            "no append-only file; snapshots unknown",
            "everything since the last snapshot, if there is one",
        )
    elif settings.get("save"):
        seen, lost = f"snapshots alone (save {settings['save']})", "everything since the last snapshot"
    else:
        seen, lost = "neither an append-only file nor snapshots", "every job"
    why = f"a crash or restart of the server loses {lost}, enqueued and running jobs among it"
    return Finding("problem", "persistence", seen, why, change)


def _aof(settings: Mapping[str, str] | Unknown) -> Finding:
    if isinstance(settings, Unknown):
        return Finding(
            "ok", "persistence", f"append-only file; when it is flushed is unknown: {settings.reason}"
        )
    policy = settings.get("appendfsync", "")
    if policy == "no":
        return Finding(
            "advice", "persistence", "append-only file, flushed when the system likes (appendfsync no)",
            "a crash of the machine loses up to about 30 s of jobs",
            "appendfsync everysec",
        )  # fmt: skip
    lost = "nothing" if policy == "always" else "about a second"
    return Finding("ok", "persistence", f"append-only file, appendfsync {policy}: a crash loses {lost}")


def _writes(info: Mapping[str, str]) -> Iterator[Finding]:
    failed = [
        name
        for name in ("aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status")
        if info.get(name, "ok") != "ok"
    ]
    if failed:
        yield Finding(
            "problem", "disk", f"{', '.join(failed)} not ok",
            "the server cannot write its data, and refuses new data while that lasts (MISCONF)",
            "look into the server's log: the disk is full, or the folder may not be written",
        )  # fmt: skip


def _memory(info: Mapping[str, str]) -> Finding:
    most, used, policy = (
        _number(info, "maxmemory"),
        _number(info, "used_memory"),
        info.get("maxmemory_policy"),
    )
    if not most:
        return Finding("ok", "memory", "no maxmemory, so nothing is evicted")
    seen = f"{used / most:.0%} of maxmemory used, {policy}"
    if policy != "noeviction":
        return Finding(
            "problem", "memory", seen, "a server that is full throws jobs and their queues away",
            "maxmemory-policy noeviction",
        )  # fmt: skip
    if used > most * NEARLY_FULL:
        return Finding(
            "advice", "memory", seen, "a server that is full refuses new jobs (QueueFull)",
            "raise maxmemory, or keep results and failed jobs for less long",
        )  # fmt: skip
    return Finding("ok", "memory", seen)


def _number(info: Mapping[str, str], name: str) -> int:
    text = info.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _clock(ahead: float) -> Finding:
    where = "ahead of" if ahead > 0 else "behind"
    seen = f"{abs(ahead):.2f} s {where} this machine's"
    if abs(ahead) < ASTRAY:
        return Finding("ok", "clock", seen)
    return Finding(
        "problem" if abs(ahead) >= FAR_ASTRAY else "advice", "clock", seen,
        "jobs enqueued here for a certain time (enqueue_at, --at) start too early or too late by as much; "
        "leases and delays follow the server's clock alone",
        "let both machines set their clocks by NTP",
    )  # fmt: skip


def _permissions(facts: ServerFacts) -> Finding:
    if isinstance(facts.missing, Unknown):
        return _unknown("permissions", facts.missing)
    if not facts.missing:
        return Finding("ok", "permissions", f"user {facts.user} may do all that programs and workers do")
    return Finding(
        "problem", "permissions", f"user {facts.user} lacks {' '.join(facts.missing)}",
        "workers do not start, and calls that need them are refused (NOPERM)",
        f"ACL SETUSER {facts.user} {' '.join(facts.remedy)}",
    )  # fmt: skip
