"""What is left of a scenario outside of the jobs: in the server's memory, in the workers' processes.

I6   the server's memory is back where it was when all jobs are pruned (with I5)
I8   workers hold as many connections, threads and children as ever
I12  scripts were short
"""

from __future__ import annotations

import os
from typing import Any

from tests.chaos.procs import Fleet, WorkerProc
from tests.chaos.seen import Seen
from tests.servers import Server

#: Connections to Redis, and what an event loop needs.
SOCKETS = 12
#: Beside those of jobs: the main thread, the heartbeat, the watchdog, and name resolution.
THREADS = 8
#: Sockets and pipes to one child process.
PER_CHILD = 6
#: Microseconds; the first bound above 5 ms for which the server counts.
SHORT = 9_000
#: The share of scripts that may take longer, since the machine runs other things in between.
LONG_SHARE = 0.02
#: Bytes; the server's own tables and buffers grow a little.
GROWTH = 4 << 20


def check_workers(fleet: Fleet) -> None:
    for worker in fleet.alive:
        held = _look(worker)
        if held is None:
            continue  # it has just ended
        sockets, threads, children = held
        assert sockets <= SOCKETS + PER_CHILD * children, f"{sockets} sockets, {children} children"
        assert threads <= THREADS + worker.concurrency, f"{threads} threads for {worker.concurrency} jobs"


def _look(worker: WorkerProc) -> tuple[int, int, int] | None:
    """Sockets, threads and children of a process, none of which may be a zombie."""
    folder = f"/proc/{worker.pid}"
    try:
        links = [os.readlink(f"{folder}/fd/{name}") for name in os.listdir(f"{folder}/fd")]
        threads = os.listdir(f"{folder}/task")
        with open(f"{folder}/task/{worker.pid}/children") as file:
            children = file.read().split()
    except OSError:
        return None
    return sum("socket" in link for link in links), len(threads), len(children)


def check_scripts(server: Server, seen: Seen) -> None:
    client: Any
    with server.client() as client:
        found = client.execute_command("LATENCY", "HISTOGRAM", "evalsha")
    if not found:
        return
    [told] = found.values()
    calls, counts = told[b"calls"], told[b"histogram_usec"]
    short = max((count for bound, count in counts.items() if bound <= SHORT), default=0)
    seen.add("scripts", calls)
    seen.add("scripts_over_8_ms", calls - short)
    if os.getloadavg()[0] <= (os.cpu_count() or 1):  # else each waits for the processor, too
        assert calls - short <= 3 + calls * LONG_SHARE, f"{calls - short} of {calls} scripts took over 8 ms"


def memory(server: Server) -> int:
    """Bytes that the server's data takes, without its statistics: 30 kB for each command that it ever saw."""
    client: Any
    with server.client() as client:
        client.config_resetstat()
        client.slowlog_reset()
        client.execute_command("MEMORY", "PURGE")
        return int(client.info("memory")["used_memory_dataset"])


def check_memory(server: Server, before: int) -> None:
    grown = memory(server) - before
    assert grown <= GROWTH, f"{grown:,} bytes are left in Redis"
