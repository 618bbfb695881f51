"""A server seen as a `World`: everything it holds in one read, times in the world's terms, and its ageing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from aqueue._core.status import ENDED, REGISTRY_OF, WAITING, JobStatus
from aqueue._redis.keys import Keys
from aqueue._redis.lookups import PastExecution, history
from aqueue._redis.operations import Lookup
from aqueue._redis.sync_client import SyncClient
from tests.transitions.world import SOME_TIME, TIMED, World

AGEING = ("started", "scheduled", "expiring", *TIMED)
CLOCKS = {"created_at", "enqueued_at", "started_at", "ended_at", "heartbeat"}
#: ms by which a time of the server may differ from the world's.
TOLERANCE = 2_500

#: Let so many ms pass: for scores, for the beat and the hold, and for the TTL of every key.
ADVANCE = """#!lua flags=allow-oom
local ms, ageing = tonumber(ARGV[1]), { started = 1, scheduled = 1, expiring = 1, finished = 1, failed = 1,
  canceled = 1, expired = 1, workers = 1 }
for _, key in ipairs(redis.call("KEYS", "*")) do
  local kind = string.match(key, "}:(%a+)")
  if ageing[kind] then
    local members = redis.call("ZRANGE", key, 0, -1, "WITHSCORES")
    for i = 1, #members, 2 do
      if members[i + 1] ~= "inf" then
        redis.call("ZADD", key, string.format("%.0f", members[i + 1] - ms), members[i])
      end
    end
  elseif kind == "heartbeat" or kind == "hold" then
    redis.call("SET", key, string.format("%.0f", redis.call("GET", key) - ms))
  end
  local left = redis.call("PTTL", key)
  if left >= 0 and left <= ms then
    redis.call("UNLINK", key)
  elseif left >= 0 then
    redis.call("PEXPIRE", key, string.format("%.0f", left - ms))
  end
end
return redis.call("TIME")
"""
DUMP = """#!lua flags=no-writes
local READ = { string = { "GET" }, hash = { "HGETALL" }, list = { "LRANGE", 0, -1 }, set = { "SMEMBERS" },
  zset = { "ZRANGE", 0, -1, "WITHSCORES" } }
local dump = {}
for _, key in ipairs(redis.call("KEYS", "*")) do
  local command = READ[redis.call("TYPE", key).ok]
  local value = redis.call(command[1], key, unpack(command, 2))
  dump[#dump + 1] = { string.match(key, "}:(.*)"), value, redis.call("PTTL", key) }
end
return { redis.call("TIME"), dump }
"""


@dataclass(frozen=True)
class Holdings:
    """Key, without the prefix -> its value; key -> end of its TTL."""

    values: dict[str, Any]
    until: dict[str, int]


class Mirror:
    """One namespace, alone on its server."""

    def __init__(self, client: SyncClient, keys: Keys) -> None:
        self.client = client
        self.keys = keys
        #: How far the world is ahead of the server's clock, ms.
        self.ahead = 0

    def command(self, *command: str | int | float) -> Any:
        return self.client.read(Lookup([command], lambda replies: replies[0]))

    def look(self, *, advance: int) -> tuple[Holdings, int]:
        """What the server holds; then let so many ms pass. Also the world's time after that."""
        commands = [("EVAL", DUMP, 0), ("EVAL", ADVANCE, 0, advance)]
        (time, dump), later = self.client.read(Lookup(commands, lambda replies: replies))
        held = self._holdings(self._world_time(time), dump)
        self.ahead += advance
        return held, self._world_time(later)

    def _world_time(self, time: list[bytes]) -> int:
        return int(time[0]) * 1000 + int(time[1]) // 1000 + self.ahead

    def _holdings(self, now: int, dump: list[Any]) -> Holdings:
        values = {key.decode(): self._value(key.decode(), raw) for key, raw, _ in dump}
        until = {key.decode(): now + left for key, _, left in dump if left >= 0}
        return Holdings({key: value for key, value in values.items() if value != {}}, until)

    def _value(self, key: str, raw: Any) -> Any:
        kind = key.partition(":")[0]
        if kind == "history":
            return [_past(entry) for entry in history(self.keys, "").decode([raw])]
        if isinstance(raw, bytes):
            return int(raw) + self.ahead if kind in ("heartbeat", "hold") else raw.decode()
        if kind in ("job", "worker"):
            return plain(dict(zip(raw[::2], raw[1::2], strict=True)))
        parts = [part.decode() for part in raw]
        pairs = dict(zip(parts[::2], parts[1::2], strict=False))
        if kind == "meta":
            return {name: value for name, value in pairs.items() if name not in ("seq", "front")}
        if kind in (*AGEING, "workers"):
            return {member: float(score) + self.ahead for member, score in pairs.items()}
        return list(pairs) if kind == "queue" else sorted(parts)


def plain(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A record as the world keeps it."""
    texts = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    return {
        name: SOME_TIME if name in CLOCKS else "place" if name == "place" else value
        for name, value in texts.items()
    }


def _past(entry: PastExecution) -> tuple[str, ...]:
    times = [SOME_TIME if time is not None else "" for time in (entry.started_at, entry.ended_at)]
    error = entry.error_type, entry.error_message, entry.value.decode()
    return entry.status, *times, entry.worker_name or "", *error


def expected(world: World) -> Holdings:
    """What the server has to hold, when the world is right."""
    values: dict[str, Any] = {f"job:{id}": job for id, job in world.jobs.items()}
    values |= {f"result:{id}": result for id, result in world.results.items()}
    values |= {f"history:{id}": entries for id, entries in world.histories.items()}
    values |= {f"reply:{nonce}": words for nonce, words in world.answers.items()}
    values |= {f"worker:{worker}": record for worker, record in world.workers.items()}
    filed = [*world.filed.items(), *((id, (kind, of, end)) for (kind, of, id), end in world.leftover.items())]
    for job_id, (registry, queue, score) in filed:
        if registry != "queue":
            values.setdefault(f"{registry}:{queue}", {})[job_id] = score
    for job_id, (queue, end) in world.expiring.items():
        values.setdefault(f"expiring:{queue}", {})[job_id] = end
    for queue in world.queues | world.paused | {queue for queue, _ in world.totals}:
        totals = {name: str(count) for (of, name), count in world.totals.items() if of == queue}
        meta = totals | ({"paused": "1"} if queue in world.paused else {})
        values |= {f"meta:{queue}": meta} if meta else {}
        waiting = world.listed("queue", queue)
        values |= {f"queue:{queue}": waiting} if waiting else {}
    values |= {f"wake:{queue}": ["1"] for queue in world.awake}
    values |= {"queues": sorted(world.queues)} if world.queues else {}
    values |= {"workers": world.beating} if world.beating else {}
    values |= {"heartbeat": world.heartbeat} if world.heartbeat else {}
    values |= {"hold": world.hold} if world.hold else {}
    return Holdings(values, world.until)


def snapped(found: Any, wanted: Any) -> Any:
    """What was found, with times that are near enough put where they are wanted: so that == compares."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        pairs, others = cast(dict[str, Any], found), cast(dict[str, Any], wanted)
        return {key: snapped(value, others.get(key)) for key, value in pairs.items()}
    if isinstance(found, tuple) and isinstance(wanted, tuple):
        return tuple(map(snapped, found, wanted))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(found, float | int) and isinstance(wanted, float | int):
        return wanted if abs(found - wanted) <= TOLERANCE else found
    return found  # pyright: ignore[reportUnknownVariableType]


def check_partition(found: Holdings, latest: int) -> None:
    """Read off the server alone: each job lies in the one registry that its status names, nothing dangles."""
    records = {key[4:]: value for key, value in found.values.items() if key.startswith("job:")}
    jobs = {job_id: record for job_id, record in records.items() if "gone" not in record}
    lies_in: dict[str, list[tuple[str, str]]] = {job_id: [] for job_id in jobs}
    for key, listed in found.values.items():
        registry, _, queue = key.partition(":")
        for job_id in listed if registry in REGISTRY_OF.values() else ():
            job = jobs.get(job_id, {})
            if (REGISTRY_OF.get(job.get("status")), job.get("queue")) == (registry, queue):
                lies_in[job_id].append((registry, queue))
            else:
                assert registry in TIMED, f"{job_id} dangles in {registry}:{queue}"
                assert listed[job_id] <= latest, "its record went before its time"
    for job_id, job in jobs.items():
        status = JobStatus(job["status"])
        assert len(lies_in[job_id]) == (status is not JobStatus.CREATED), (job_id, status, lies_in[job_id])
        assert f"job:{job_id}" not in found.until or status not in {*WAITING, "started"}
        assert f"job:{job_id}" in found.until or status in {*WAITING, "started", *ENDED}
    for key in found.values:
        kind, _, name = key.partition(":")
        assert kind not in {"result", "history"} or name in jobs, f"{key} has no job"
