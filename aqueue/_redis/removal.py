"""Remove a whole namespace, for tests: blocking, and with SCAN, which a program never needs."""

from __future__ import annotations

from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup
from aqueue._redis.sync_client import SyncClient

_PAGE = 1_000


def remove_all(client: SyncClient, keys: Keys) -> None:
    """Delete every key of the namespace.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    pattern, cursor = keys.prefix + "*", b"0"
    while True:
        command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
        cursor, found = client.read(Lookup([command], lambda replies: replies[0]))
        if found:
            client.read(Lookup([("UNLINK", *found)], lambda replies: None))
        if cursor == b"0":
            return
