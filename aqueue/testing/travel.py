"""Let time pass for what is stored, without waiting for it."""

from __future__ import annotations

from aqueue._core.clock import Duration, to_ms
from aqueue._redis import aging, lookups, operations
from aqueue.queue import Queue


async def time_travel(queue: Queue, duration: Duration) -> None:
    """Make the data of the queue's namespace so much older, on the server.

    What is due by then is queued, and workers are woken; what has passed its ttl is expired, ended jobs past
    their result_ttl or failure_ttl are removed. All queues of the namespace are aged: time passes everywhere.

    Clocks are not touched. So nothing changes for running jobs, their timeouts and leases, for saved jobs
    that were never enqueued, and for the instants in a job's attributes; what is enqueued afterwards starts
    from the real time.

    Raises:
        SettingsError: Not a duration, or not more than zero.
    """
    by_ms = to_ms(duration, "duration")
    keys, client = queue.space.keys, queue.space.client
    queues = await client.read(lookups.queue_names(keys))
    dues = await client.read(aging.dues(keys, queues))
    ends = await client.read(aging.ends(keys, [job_id for _, job_id, _ in dues]))
    await client.read(aging.age(dues, ends, by_ms))
    while await client.run(operations.promote(keys, queues)):
        pass
    while await client.run(operations.prune(keys, queues)):
        pass
