"""The catalogue: everything that is done to aqueue, by id, whether or not a scenario does it by now."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    fault: str
    #: Why there is none: what it is about does not exist.
    skipped: str = ""
    #: The tests that do it outside of the harness.
    elsewhere: str = ""


_DEPENDENCIES = "there are no dependencies between jobs yet"
_CRON = "there is no cron yet"

CATALOGUE = {
    "T01": Entry("workers are killed at random times, two queues"),
    "T02": Entry("a worker is killed at each named point"),
    "T03": Entry("a child process is killed, and a parent while its children run"),
    "T04": Entry("a worker is killed during its shutdown"),
    "T05": Entry("a worker is frozen past its lease and comes back"),
    "T06": Entry("a worker is frozen for less than its lease"),
    "T07": Entry("Python code blocks the event loop for five leases"),
    "T08": Entry("C code holds the GIL for three leases"),
    "T09": Entry("the event loop is deadlocked for ever"),
    "T10": Entry("SIGTERM, the jobs end inside the grace"),
    "T11": Entry("SIGTERM, the jobs exceed the grace: coroutines, threads, processes"),
    "T12": Entry("SIGTERM twice, after SIGINT, and at any moment of the start"),
    "T13": Entry("a worker as PID 1 of a namespace"),
    "T14": Entry("workers are replaced one after the other under load"),
    "T15": Entry(
        "workers of two versions of the package work side by side",
        skipped="there is one version only, nothing has been released yet",
    ),
    "T16": Entry("jobs that kill their process: exit, segmentation fault, out of memory"),
    "T17": Entry("workers that are replaced after so many jobs, or so much memory"),
    "T18": Entry("threads that ignore their cancellation fill a worker"),
    "T19": Entry("two workers with the same name"),
    "T20": Entry("Redis is killed under load and restarted"),
    "T21": Entry("the AOF's tail is cut off at a random byte"),
    "T22": Entry("Redis comes back with data that is old"),
    "T23": Entry("Redis comes back empty"),
    "T24": Entry("Redis is frozen for three leases"),
    "T25": Entry("CLIENT PAUSE, DEBUG SLEEP"),
    "T26": Entry("connections are killed, of each kind"),
    "T27": Entry("scripts are flushed and evicted"),
    "T28": Entry("Redis is out of memory"),
    "T29": Entry("Redis cannot write its snapshot (MISCONF)"),
    "T30": Entry("a foreign script does not end (BUSY)"),
    "T31": Entry("Redis loads its data for long"),
    "T32": Entry("the master becomes a replica and a master again (READONLY)"),
    "T33": Entry("too few replicas, password changed, permissions taken away"),
    "T34": Entry("the most clients are reached"),
    "T35": Entry("keys of foreign types under our prefix"),
    "T36": Entry("the clock jumps"),  # needs libfaketime
    "T37": Entry("eviction policies"),
    "T38": Entry("no permission for CONFIG, INFO and CLIENT"),
    "T40": Entry("the reply is lost, for every script"),
    "T41": Entry("the request is lost, for every script"),
    "T42": Entry("the connection is cut at each byte of a claim's reply"),
    "T43": Entry("a connection goes silent, in one direction or both"),
    "T44": Entry("slow networks: delays, jitter, little bandwidth"),
    "T45": Entry("random faults, 2 % of all replies"),
    "T46": Entry("one worker of two is parted from Redis for three leases"),
    "T47": Entry("the server's address changes"),
    "T48": Entry("the reply to an enqueue is lost, then memory is full or the server read-only"),
    "T49": Entry("a producer is killed in the middle of an enqueue"),
    "T50": Entry("Sentinel: the master is killed under load"),
    "T51": Entry("Sentinel: failover of a master that lives"),
    "T52": Entry("Sentinel: the old master comes back with old leases"),
    "T53": Entry("Sentinel: the master is parted from the others"),
    "T54": Entry(
        "Cluster: the functional tests, with AQUEUE_TEST_CLUSTER=1", elsewhere="tests/api/test_cluster.py"
    ),
    "T55": Entry("Cluster: the slot's master fails over and back"),
    "T56": Entry("Cluster: the slot is moved away and back under load"),
    "T57": Entry("dependencies between jobs of several partitions", skipped=_DEPENDENCIES),
    "T58": Entry("other versions of Redis and Valkey", elsewhere="tests/api/test_servers_and_clients.py"),
    "T59": Entry(
        "unix socket, TLS, RESP2 and RESP3, clients that decode",
        elsewhere="tests/api/test_servers_and_clients.py",
    ),
    "T60": Entry("a model and random steps, replayed, with zombies and out of memory"),
    "T61": Entry("two actors' calls in every order"),
    "T62": Entry("each script is replayed", elsewhere="tests/transitions/test_replay.py"),
    "T63": Entry("the rules for Lua", elsewhere="tests/transitions/test_lua_rules.py"),
    "T64": Entry("every public coroutine is cancelled at every await"),
    "T65": Entry("jobs that swallow or misuse cancellation", elsewhere="tests/worker/test_timeouts.py"),
    "T66": Entry("hostile results and exceptions", elsewhere="tests/worker/test_outcomes.py"),
    "T67": Entry("random damage of what Redis holds"),
    "T68": Entry("random arguments of the public interface"),
    "T69": Entry("cron against a scan of all minutes", skipped=_CRON),
    "T70": Entry("cron in several workers that are killed", skipped=_CRON),
    "T71": Entry("many producers of one unique job", skipped="there are no unique jobs yet"),
    "T72": Entry("storms of dependent jobs", skipped=_DEPENDENCIES),
    "T73": Entry("retries, timeouts, losses and releases together: the counters"),
    "T74": Entry("an id is used again in each status", elsewhere="tests/transitions/test_enqueue.py"),
    "T75": Entry("`aqueue doctor` and planted damage"),
    "T76": Entry("each guard is taken out of the Lua", elsewhere="tests/transitions/test_mutants.py"),
    "T80": Entry("a backlog of hundreds of thousands of jobs"),
    "T81": Entry("many thousand scheduled jobs, due in one second"),
    "T82": Entry("a flood of producers"),
    "T83": Entry("10,000 waiters, and Redis restarts"),
    "T84": Entry("waiters without pub/sub"),
    "T85": Entry("500 slots, 500 leases"),
    "T86": Entry("thousands of leases expire at once"),
    "T87": Entry(
        "sizes of arguments and results around the limits", elsewhere="tests/api/test_enqueue_misuse.py"
    ),
    "T88": Entry("a queue is paused, emptied and deleted during work"),
    "T89": Entry("a day of leases with mixed jobs and a fault every few seconds"),
    "T90": Entry("the same without faults"),
    "T91": Entry("leaks of each call"),
    "T92": Entry("a worker that hardly gets the processor"),
    "T93": Entry("how many connections a worker has"),
    "T94": Entry("a subscriber that does not read"),
    "T95": Entry("latency with a backlog elsewhere"),
}
