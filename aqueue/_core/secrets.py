"""Keys and passwords do not go into jobs: a queue or a job among the arguments would take them along.

Whoever reads Redis, or a backup of it, could sign jobs then. Other pickles are made for processes of the
same program, and carry them.
"""

from __future__ import annotations

from contextvars import ContextVar

#: What is pickled now goes to Redis.
goes_to_redis: ContextVar[bool] = ContextVar("aqueue_goes_to_redis", default=False)


def keep(what: str) -> None:
    """Said by what holds a secret when it is pickled.

    Raises:
        TypeError: For Redis.
    """
    if goes_to_redis.get():
        raise TypeError(f"{what} would be stored, too: pass the name of a queue or the id of a job instead")
