"""Hostile hands on the records and scores of live jobs."""

from __future__ import annotations

import random
from typing import Any

from aqueue._core.record import Field, JobRecord
from aqueue._redis.keys import Keys

FIELDS = sorted(
    {field.key for field in vars(JobRecord).values() if isinstance(field, Field)} | {b"place", b"settled"}
)
#: What a field is set to: numbers that are none, too large, of another type, other texts and encodings.
VALUES: list[bytes] = [
    b"", b"x", b"nan", b"inf", b"-inf", b"1e400", b"-1", b"0", b"9" * 20, b"-" + b"9" * 20, b"1.5", b"0x10",
    b"\xff\xfe", b"\x00", b"a b", b"{}", b"[1]", b"null", b"queued", b"started", b"finished", b"archived",
    b"99\x80junk", b"\x80\x05K\x01.", b"x" * 5_000,
]  # fmt: skip
SCORES: list[Any] = ["inf", "-inf", 0, -1, 2**60, -(2**60), 1.5]
REGISTRIES = ("queue", "scheduled", "started", "expiring", "finished", "failed")


class Mutator:
    """Changes one thing of a job at a time."""

    def __init__(self, dice: random.Random, db: Any, keys: Keys) -> None:
        self._dice = dice
        self._db = db
        self._keys = keys
        #: What was done, for the message of a failure.
        self.done: list[tuple[Any, ...]] = []

    def mutate(self, job_id: str) -> None:
        """Change something of this job."""
        dice, key = self._dice, self._keys.job(job_id)
        present: list[bytes] = sorted(self._db.hkeys(key)) if self._db.type(key) == b"hash" else []
        name = dice.choice(present or FIELDS)
        match dice.randrange(8):
            case 0:
                self._run("HDEL", key, name)
            case 1:
                value: bytes = self._db.hget(key, name) or b"" if present else b""
                self._run("HSET", key, name, value[: dice.randrange(len(value) + 1)])
            case 2:
                self._run("HSET", key, name, dice.choice(VALUES))
            case 3:
                self._run("HSET", key, dice.choice(FIELDS), dice.choice(VALUES))
            case 4:
                self._run("HSET", key, name, dice.randbytes(dice.randrange(1, 40)))
            case 5:
                registry = self._keys.registry(dice.choice(REGISTRIES), "default")
                self._run("ZADD", registry, dice.choice(["XX", "NX"]), dice.choice(SCORES), job_id)
            case 6:
                self._run("ZREM", self._keys.registry(dice.choice(REGISTRIES), "default"), job_id)
            case _:
                self._of_key(key)

    def _of_key(self, key: str) -> None:
        match self._dice.randrange(4):
            case 0:
                self._run("DEL", key)
            case 1:
                self._run("DEL", key)
                self._run("RPUSH", key, "foreign")
            case 2:
                self._run("PEXPIRE", key, 3_600_000)
            case _:
                self._run("PERSIST", key)

    def _run(self, *command: Any) -> None:
        self.done.append(command)
        if command[0].startswith("H") and self._db.type(command[1]) not in (b"hash", b"none"):
            return
        self._db.execute_command(*command)
