"""All that a server holds: taken, looked at, put back, and judged."""

from __future__ import annotations

from typing import Any

from aqueue._core.status import REGISTRY_OF, JobStatus

_LOOK = """#!lua flags=no-writes
local READ = { string = { "GET" }, hash = { "HGETALL" }, list = { "LRANGE", 0, -1 }, set = { "SMEMBERS" },
  zset = { "ZRANGE", 0, -1, "WITHSCORES" } }
local dump = {}
for _, key in ipairs(redis.call("KEYS", "*")) do
  local command = READ[redis.call("TYPE", key).ok]
  local ends = redis.call("PTTL", key) >= 0 and 1 or 0
  dump[#dump + 1] = { key, ends, redis.call(command[1], key, unpack(command, 2)) }
end
return dump
"""

#: Key -> whether it has a TTL, and its value as the server tells it.
Seen = dict[bytes, tuple[bool, Any]]


class Snapshot:
    """What a server that nobody else uses holds now."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.keys: list[bytes] = sorted(db.keys())
        self._held = [(key, max(0, db.pttl(key)), db.dump(key)) for key in self.keys]

    def restore(self) -> None:
        """Put it back, and nothing else."""
        steps = self._db.pipeline(transaction=False)
        steps.flushdb()
        for key, ends, value in self._held:
            steps.restore(key, ends, value)
        steps.execute()


def look(db: Any) -> Seen:
    """Everything that the server holds."""
    return {key: (bool(ends), value) for key, ends, value in db.eval(_LOOK, 0)}


def torn(seen: Seen, prefix: str, now_ms: int) -> list[str]:
    """Jobs of a namespace that do not lie in the one registry that their status names.

    Not those whose record went when its time had passed, and that prune will take from its registry.
    """
    named = {key.decode("utf-8", "replace").removeprefix(prefix): value for key, (_, value) in seen.items()}
    lies_in: dict[str, list[str]] = {}
    for name, value in named.items():
        if name.partition(":")[0] in REGISTRY_OF.values():
            for job_id, score in zip(value[::2], value[1::2], strict=True):
                if float(score) > now_ms or prefix.encode() + b"job:" + job_id in seen:
                    lies_in.setdefault(job_id.decode("utf-8", "replace"), []).append(name)
    wrong: list[str] = []
    for name, value in named.items():
        if name.startswith("job:"):
            job_id = name.removeprefix("job:")
            wanted, found = _place(dict(zip(value[::2], value[1::2], strict=True))), lies_in.pop(job_id, [])
            if found != wanted:
                wrong.append(f"{job_id} lies in {found}, not in {wanted}")
    return wrong + [f"{job_id} dangles in {found}" for job_id, found in lies_in.items()]


def _place(record: dict[bytes, bytes]) -> list[str]:
    status = JobStatus(record.get(b"status", b"?").decode())
    if b"gone" in record or status is JobStatus.CREATED:
        return []
    return [f"{REGISTRY_OF[status]}:{record[b'queue'].decode()}"]
