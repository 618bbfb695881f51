"""Judge a namespace: its workers, and whether its jobs are cared for. Facts in, findings out; no I/O."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from aqueue.cli.doctor.finding import Finding
from aqueue.cli.text import plural, printable, shown_name
from aqueue.health import NamespaceFacts, QueueFacts
from aqueue.workers import WorkerInfo

#: Names that are told.
_SHOWN = 5


def judge_namespace(facts: NamespaceFacts) -> Iterator[Finding]:
    """All that can be said."""
    alive = [worker for worker in facts.workers if not worker.is_silent]
    yield from _workers(facts.workers, alive)
    yield from _queues(facts, {name for worker in alive for name in worker.queues})


def _workers(workers: Sequence[WorkerInfo], alive: Sequence[WorkerInfo]) -> Iterator[Finding]:
    silent = [worker for worker in workers if worker.is_silent]
    if silent:
        yield Finding(
            "advice", "workers", f"silent for longer than their lease: {_listed([w.name for w in silent])}",
            "they were killed or are cut off; their jobs go to other workers",
            "look into their logs, and see that they are started again",
        )  # fmt: skip
    if not alive:
        yield Finding(
            "advice", "workers", "none is running",
            "enqueued jobs wait, and those of lost workers are not found again", "aqueue worker",
        )  # fmt: skip
        return
    leases = sorted({worker.lease for worker in alive})
    if len(leases) > 1:
        yield Finding(
            "advice", "leases", f"workers have leases of {', '.join(f'{lease:g}' for lease in leases)} s",
            "what one takes for a stall of Redis is death to the other: jobs may be started twice",
            "give all workers of the namespace the same --lease",
        )  # fmt: skip
    if not silent:
        yield Finding("ok", "workers", f"{plural(len(alive), 'worker')} running")


def _queues(facts: NamespaceFacts, served: set[str]) -> Iterator[Finding]:
    def found(is_so: Callable[[str, QueueFacts], bool]) -> list[str]:
        return [name for name, queue in facts.queues.items() if is_so(name, queue)]

    abandoned = found(lambda name, queue: queue.abandoned > 0)
    unserved = found(lambda name, queue: queue.waiting > 0 and not queue.is_paused and name not in served)
    paused = found(lambda name, queue: queue.waiting > 0 and queue.is_paused)
    if abandoned:
        jobs = plural(sum(queue.abandoned for queue in facts.queues.values()), "job")
        yield Finding(
            "problem", "leases", f"{jobs} held by nobody, in {_listed(abandoned)}",
            "their workers are gone, and no other has taken them back",
            "aqueue worker, of any queue: each looks after the lost jobs of all",
        )  # fmt: skip
    if unserved:
        yield Finding(
            "problem", "queues", f"jobs wait that no running worker serves, in {_listed(unserved)}",
            "nobody is going to start them", f"aqueue worker {_typed(unserved[0])}",
        )  # fmt: skip
    if paused:
        yield Finding(
            "advice", "queues", f"jobs wait in paused {_listed(paused)}",
            "nothing of a paused queue is started", f"aqueue resume {_typed(paused[0])}",
        )  # fmt: skip
    if not (abandoned or unserved or paused):
        yield Finding(
            "ok", "queues", f"{plural(len(facts.queues), 'queue')}, and nothing in them is forgotten"
        )


def _typed(name: str) -> str:
    """A name as it is typed in a shell: whoever writes to Redis chooses it."""
    return shlex.quote(printable(name))


def _listed(names: Sequence[str]) -> str:
    shown = [shown_name(name) for name in names[:_SHOWN]]
    if len(names) > _SHOWN:
        shown.append(f"{len(names) - _SHOWN} more")
    return ", ".join(shown)
