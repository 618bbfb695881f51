"""The figures: each a small function of a place and a peer."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tests.benchmarks.producing import Numbers
from tests.benchmarks.roster import CONCURRENCIES, Peer
from tests.benchmarks.trial import Place, Trial, cpu_seconds, resident_mb

#: Jobs after which a worker's memory is looked at for the first time.
EARLY = 10_000
SCHEDULED = 100_000
DAY = "86400"


@dataclass(frozen=True, slots=True)
class Figure:
    """Something to measure."""

    name: str
    measure: Callable[[Place, Peer], Numbers]
    #: Whether a peer can be measured so.
    fits: Callable[[Peer], bool] = lambda peer: True
    #: Left out of a quick run.
    is_long: bool = False


def produced(place: Place, peer: Peer, *, command: str, count: int) -> Numbers:
    """What a producer alone measures."""
    return Trial(place, peer).produce(command, max(100, count // place.cut))


def enqueued(place: Place, peer: Peer, *, command: str) -> Numbers:
    """Jobs enqueued per second; fast ones enqueue more of them."""
    return produced(place, peer, command=command, count=10_000 if peer.is_rival else 50_000)


def answered(place: Place, peer: Peer, *, command: str, count: int) -> Numbers:
    """What a producer measures beside an idle worker."""
    trial = Trial(place, peer)
    with trial.worker(peer.idle, up=True):
        return trial.produce(command, max(50, count // place.cut))


def drained(
    place: Place, peer: Peer, *, setting: str, count: int, job: str = "noop", scheduled: int = 0
) -> Numbers:
    """A worker empties a queue: from the end of its first job to that of the last one."""
    trial = Trial(place, peer)
    if scheduled:
        trial.produce("fill", scheduled, "--delay", DAY)
    before = trial.used()
    trial.produce("fill", count, "--job", job)
    filled = trial.used()
    with trial.worker(setting) as pid:
        trial.wait_for(min(EARLY, count // 2))
        early, ran, cpu = resident_mb(pid), trial.logged(), cpu_seconds(pid)
        trial.wait_for(count)
        cpu = cpu_seconds(pid) - cpu
        time.sleep(0.4)  # the last ends are recorded
        late, after = resident_mb(pid), trial.used()
    ends = trial.ends()
    return {
        "rate": (count - 1) / (ends[-1] - ends[0]),
        "bytes_queued": (filled.memory - before.memory) / count,
        "bytes_finished": (after.memory - before.memory) / count,
        "redis_us": (after.cpu - before.cpu) / count * 1e6,
        "redis_us_enqueue": (filled.cpu - before.cpu) / count * 1e6,
        "commands": (after.commands - before.commands) / count,
        "worker_us": cpu / max(1, count - ran) * 1e6,
        "rss_mb": late,
        "rss_growth": late / early if early else 1.0,
    }


def drain(place: Place, peer: Peer, *, concurrency: int) -> Numbers:
    """No-ops; a worker of one job at a time gets a tenth of them."""
    count = peer.jobs // place.cut // (10 if concurrency == 1 else 1)
    return drained(place, peer, setting=peer.drain[concurrency], count=count)


def naps(place: Place, peer: Peer) -> Numbers:
    """Jobs that wait 10 ms, 100 at the same time: at best 10,000 a second."""
    return drained(place, peer, setting=str(peer.nap), count=peer.jobs // place.cut // 2, job="nap")


def threads(place: Place, peer: Peer) -> Numbers:
    """Plain functions, in threads where the queue is asynchronous."""
    count = min(peer.jobs, 20_000) // place.cut
    return drained(place, peer, setting=peer.drain[100], count=count, job=str(peer.plain))


def backlog(place: Place, peer: Peer, *, count: int) -> Numbers:
    """No-ops out of a queue of this length; a short one several times, since that takes but a moment."""
    many = [
        drained(place, peer, setting=peer.drain[100], count=count) for _ in range(5 if count <= 1_000 else 1)
    ]
    return {name: statistics.median(numbers[name] for numbers in many) for name in many[0]}


def scheduled(place: Place, peer: Peer) -> Numbers:
    """No-ops beside scheduled jobs that are not due."""
    count = peer.jobs // place.cut
    return drained(place, peer, setting=peer.drain[100], count=count, scheduled=SCHEDULED // place.cut)


def startup(place: Place, peer: Peer) -> Numbers:
    """From the start of a worker's process to the end of a job that waited."""
    trial = Trial(place, peer)
    trial.produce("fill", 100)
    started = time.time()
    with trial.worker(peer.idle):
        trial.wait_for(1)
    return {"seconds": trial.ends()[0] - started}


def several(place: Place, peer: Peer, *, workers: int, job: str, is_supervised: bool = False) -> Numbers:
    """Workers on one queue; the first fifth of the jobs is left out, until all have started."""
    count = (4_000 if job == "spin" else peer.jobs) // place.cut
    trial = Trial(place, peer)
    trial.produce("fill", count, "--job", job)
    before = trial.used()
    with ExitStack() as stack:
        if is_supervised:
            command = [sys.executable, "-m", "aqueue", "worker", "bench", "-u", trial.url]
            stack.enter_context(trial.process([*command, "--processes", str(workers)]))
        else:
            for _ in range(workers):
                stack.enter_context(trial.worker(peer.drain[100]))
        trial.wait_for(count)
        after = trial.used()
    ends = trial.ends()[count // 5 :]
    elapsed = ends[-1] - ends[0]
    return {"rate": (len(ends) - 1) / elapsed, "redis_us": (after.cpu - before.cpu) / count * 1e6}


def _is_ours(peer: Peer) -> bool:
    return peer.name == "aqueue"


def _is_fast(peer: Peer) -> bool:
    return not peer.is_rival


def _is_async(peer: Peer) -> bool:
    return peer.is_async


def _has_bulk(peer: Peer) -> bool:
    return peer.has_bulk


def _can_fetch(peer: Peer) -> bool:
    return peer.can_fetch


def _is_drained(concurrency: int, peer: Peer) -> bool:
    return concurrency in peer.drain


def _figures() -> list[Figure]:
    return [
        Figure("enqueue_one", partial(produced, command="enqueue_one", count=5_000)),
        Figure("enqueue_100", partial(enqueued, command="enqueue_100"), _is_async),
        Figure("enqueue_bulk", partial(enqueued, command="enqueue_bulk"), _has_bulk),
        *(
            Figure(f"drain_{n}", partial(drain, concurrency=n), partial(_is_drained, n))
            for n in CONCURRENCIES
        ),
        Figure("naps", naps, lambda peer: peer.nap is not None),
        Figure("threads", threads, lambda peer: peer.plain is not None),
        Figure("latency", partial(answered, command="latency", count=1_000)),
        Figure("round_trip", partial(answered, command="round_trip", count=300)),
        Figure("steady", partial(answered, command="steady", count=10_000), _is_async),
        Figure("startup", startup),
        Figure("fetch_many", partial(produced, command="fetch_many", count=10_000), _can_fetch),
        Figure("backlog_1k", partial(backlog, count=1_000), _is_fast, is_long=True),
        Figure("backlog_100k", partial(backlog, count=100_000), _is_fast, is_long=True),
        Figure("backlog_1m", partial(backlog, count=1_000_000), _is_ours, is_long=True),
        Figure("scheduled", scheduled, _is_ours),
        Figure("spin_1", partial(several, workers=1, job="spin"), _is_ours),
        Figure("spin_2", partial(several, workers=2, job="spin"), _is_ours),
        Figure("spin_1_process", partial(several, workers=1, job="spin", is_supervised=True), _is_ours),
        Figure("spin_2_processes", partial(several, workers=2, job="spin", is_supervised=True), _is_ours),
        Figure("noop_1", partial(several, workers=1, job="noop"), _is_ours),
        Figure("noop_2", partial(several, workers=2, job="noop"), _is_ours),
    ]


FIGURES = {figure.name: figure for figure in _figures()}
