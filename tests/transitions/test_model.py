"""Random calls of producers, workers and maintenance on a real server, each compared with the model.

Calls are replayed, zombies settle, leases expire, clocks jump, scripts are flushed and memory ends. After
every step the server holds what the model holds, key by key, and the registries partition the jobs.

AQUEUE_MODEL_RUNS and AQUEUE_MODEL_STEPS make it longer, AQUEUE_MODEL_SEED takes another seed.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.status import REGISTRY_OF
from aqueue._redis import operations
from aqueue._redis.formats import words
from aqueue._redis.keys import Keys
from aqueue._redis.operations import NewJob, Operation
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from aqueue.errors import QueueFull
from tests.servers import Server
from tests.transitions.mirror import Mirror, check_partition, expected, plain, snapped
from tests.transitions.model import Model
from tests.transitions.world import LEASE

#: Every call is so much later than the one before. All durations are far from multiples of it, so that no
#: two times are ever so close that the server's own milliseconds decide between them.
TICK = 11_000
UNIT = 10_000_000
QUEUES = ("q1", "q2")
#: Worker's uuid -> its name.
WORKERS = {"w1": "w1", "w2": "london"}
REGISTRIES = sorted({*REGISTRY_OF.values()})
ERROR = Failed("ValueError", "no", "ValueError: no")
OUTCOMES: list[Outcome] = [
    Finished(b"r"), Finished(None), ERROR, Retried(ERROR, 0), Retried(ERROR, UNIT), Released(),
    Released(UNIT, unknown=True), Stopped(), Canceled(),
]  # fmt: skip
IDS = "abcdef"
ids = st.sampled_from(IDS)
queues = st.sampled_from(["q1", "q1", "q2"])
some_queues = st.sampled_from([["q1"], ["q1", "q2"], ["q2", "q1"]])
some_outcomes = st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=3)
workers = st.sampled_from(sorted(WORKERS))
many_ids = st.lists(ids, min_size=1, max_size=4)

NAMESPACE = "model"

#: Options of jobs, beside none at all.
OPTIONS: list[dict[str, int]] = [
    {}, {"ttl": 2 * UNIT}, {"result_ttl": 0}, {"result_ttl": -1, "failure_ttl": -1}, {"failure_ttl": UNIT},
    {"priority": 1}, {"priority": -1, "ttl": UNIT}, {"max_lost": 0}, {"max_lost": 2, "result_ttl": UNIT},
]  # fmt: skip
#: Mode and delay.
WAYS = [("", 0), ("", 0), ("front", 0), ("save", 0), ("", UNIT), ("", 3 * UNIT)]


def _new_job(job_id: str, options: dict[str, int], way: tuple[str, int]) -> NewJob:
    """A job on its way; its nonce is set when it is enqueued."""
    fields = [str(part) for pair in options.items() for part in pair]
    return NewJob(job_id, "", fields, way[0], options.get("priority", 0), way[1], options.get("ttl"))


new_jobs = st.builds(_new_job, ids, st.sampled_from(OPTIONS), st.sampled_from(WAYS))


def attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except QueueFull:
        return QueueFull


class JobMachine(RuleBasedStateMachine):
    """Producers, two workers and maintenance."""

    client: ClassVar[SyncClient]
    #: Who looks at everything, lets time pass and takes memory away.
    administrator: ClassVar[SyncClient]
    #: Calls that were compared, of all runs.
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys(NAMESPACE)
        self.mirror = Mirror(self.administrator, self.keys)
        self.mirror.command("CONFIG", "SET", "maxmemory", 0)
        self.mirror.command("FLUSHALL")
        self.world = Model()
        self.look(TICK)
        self.numbers = map(str, itertools.count(1))
        self.leases: list[Lease] = []
        self.calls: list[tuple[Operation[Any], Callable[[], Any]]] = []

    def call(self, operation: Operation[Any], predict: Callable[[], Any]) -> None:
        wanted = attempt(predict)
        found = attempt(lambda: self.client.run(operation))
        assert snapped(found, wanted) == wanted, f"{operation.script.name}: {found} instead of {wanted}"
        self.calls = [*self.calls[-7:], (operation, predict)]
        JobMachine.steps += 1
        self.look(TICK)

    def look(self, advance: int) -> None:
        """After every step: the server holds what the model holds. Then time passes."""
        found, now = self.mirror.look(advance=advance)
        wanted = expected(self.world)
        assert snapped(found.values, wanted.values) == wanted.values
        assert snapped(found.until, wanted.until) == wanted.until
        check_partition(found, self.world.latest)
        self.world.advance_to(now)

    def raw(self, operation: Operation[Any]) -> Operation[list[str]]:
        """Its words as they come, where decoding them would raise."""
        return Operation(operation.script, operation.keys, operation.args, words)

    # -- producers

    @initialize(
        new=st.lists(new_jobs, min_size=3, max_size=6, unique_by=lambda new: new.id), limit=st.integers(1, 3)
    )
    def it_begins(self, new: list[NewJob], limit: int) -> None:
        self.a_few_jobs_run(new, limit)

    @precondition(lambda self: not any(self.world.ids("started")))
    @rule(new=st.lists(new_jobs, min_size=1, max_size=3), limit=st.integers(1, 3))
    def a_few_jobs_run(self, new: list[NewJob], limit: int) -> None:
        self.enqueue(new, "q1")
        self.claim(["q1", "q2"], "w1", limit)

    @rule(new=st.lists(new_jobs, min_size=1, max_size=4), queue=queues, twice=st.booleans())
    def enqueue(self, new: list[NewJob], queue: str, twice: bool = False) -> None:
        jobs = [replace(job, nonce=next(self.numbers)) for job in new]
        self._enqueue(queue, [*jobs, jobs[0]] if twice else jobs)

    @rule(new=st.lists(new_jobs, min_size=1, max_size=2), queue=queues)
    def enqueue_under_new_ids(self, new: list[NewJob], queue: str) -> None:
        """An id that was made for the call needs no nonce."""
        self._enqueue(queue, [replace(job, id=f"made{next(self.numbers)}") for job in new])

    def _enqueue(self, queue: str, jobs: list[NewJob]) -> None:
        operation = operations.enqueue(self.keys, queue, jobs)
        words = Operation(
            operation.script, operation.keys, operation.args, lambda reply: operation.decode(reply).words
        )
        self.call(words, lambda: self.world.enqueue(queue, jobs))

    @rule(job_id=ids, mode=st.sampled_from(["cancel", "cancel", "stop", "quarantine"]))
    def cancel(self, job_id: str, mode: str) -> None:
        nonce = next(self.numbers)
        operation = operations.cancel(
            self.keys, job_id, nonce=nonce, mode=mode, error_type="E", error_message="m"
        )
        self.call(self.raw(operation), lambda: self.world.cancel(job_id, mode, nonce))

    @rule(job_ids=many_ids, front=st.booleans())
    def requeue(self, job_ids: list[str], front: bool) -> None:
        nonce = next(self.numbers)
        operation = operations.requeue(self.keys, job_ids, nonce=nonce, at_front=front)
        self.call(operation, lambda: self.world.requeue(job_ids, nonce, front))

    @rule(job_ids=many_ids, registry=st.sampled_from(["", "", *REGISTRIES]))
    def delete(self, job_ids: list[str], registry: str) -> None:
        nonce = next(self.numbers)
        operation = operations.delete(self.keys, job_ids, nonce=nonce, registry=registry)
        self.call(operation, lambda: self.world.delete(job_ids, nonce, registry))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), inside=st.booleans())
    def amend(self, data: st.DataObject, inside: bool) -> None:
        lease, meta = data.draw(st.sampled_from(self.leases)), next(self.numbers)
        job_id, token = (lease.job_id, lease.token) if inside else (data.draw(ids), "")
        operation = operations.amend(self.keys, job_id, meta.encode(), token=token)
        self.call(self.raw(operation), lambda: self.world.amend(job_id, meta, token))

    # -- workers

    @rule(order=some_queues, worker=workers, limit=st.integers(0, 4))
    def claim(self, order: list[str], worker: str, limit: int) -> None:
        nonce, name = next(self.numbers), WORKERS[worker]
        operation = operations.claim(
            self.keys, order, worker_id=worker, name=name, nonce=nonce, limit=limit, lease_ms=LEASE
        )

        def view(reply: Any) -> tuple[list[tuple[str, str]], int | None, bool]:
            claimed = operation.decode(reply)
            for lease in claimed.leases:
                assert {**plain(lease.record.fields), "place": "place"} == self.world.jobs[lease.job_id]
            self.leases = [*self.leases, *claimed.leases][-12:]
            return [(lease.job_id, lease.token) for lease in claimed.leases], claimed.next_ms, claimed.more

        self.call(
            Operation(operation.script, operation.keys, operation.args, view),
            lambda: self.world.claim(order, worker, name, nonce, limit),
        )

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), times=st.integers(1, 3))
    def settle(self, data: st.DataObject, times: int) -> None:
        """Any lease given out lately, so zombies too; also several of one job."""
        lease, outcome = st.sampled_from(self.leases), st.sampled_from(OUTCOMES)
        self._settle([(data.draw(lease), data.draw(outcome)) for _ in range(times)])

    @precondition(lambda self: any(self.world.ids("started")))
    @rule(outcomes=some_outcomes)
    def settle_what_runs(self, outcomes: list[Outcome]) -> None:
        running = {lease.token: lease for lease in self.leases if self.world.holds(lease)}
        self._settle(list(zip(running.values(), outcomes, strict=False)))

    @rule(order=some_queues, worker=workers, outcomes=some_outcomes)
    def work(self, order: list[str], worker: str, outcomes: list[Outcome]) -> None:
        """The way most jobs go, so that random calls meet jobs in every status."""
        self.claim(order, worker, len(outcomes))
        self.settle_what_runs(outcomes)

    def _settle(self, ended: Sequence[tuple[Lease, Outcome]]) -> None:
        self.call(operations.settle(self.keys, ended), lambda: self.world.settle(ended))

    @rule(worker=workers, number=st.integers(0, 12))
    def extend(self, worker: str, number: int) -> None:
        leases = self.leases[len(self.leases) - number :]
        operation = operations.extend(
            self.keys, leases, worker_id=worker, lease_ms=LEASE, facts={"host": "here"}
        )

        def view(reply: Any) -> tuple[Sequence[str], dict[str, str]]:
            extended = operation.decode(reply)
            return extended.lost, extended.asked

        self.call(
            Operation(operation.script, operation.keys, operation.args, view),
            lambda: self.world.extend(leases, worker),
        )

    # -- maintenance

    @rule(order=some_queues)
    def recover(self, order: list[str]) -> None:
        operation = operations.recover(self.keys, order, lease_ms=LEASE)

        def view(reply: Any) -> tuple[dict[str, str], bool]:
            recovered = operation.decode(reply)
            assert not recovered.full
            return recovered.jobs, recovered.hold

        self.call(
            Operation(operation.script, operation.keys, operation.args, view),
            lambda: self.world.recover(order),
        )

    @rule(order=some_queues, prune=st.booleans())
    def prune_or_promote(self, order: list[str], prune: bool) -> None:
        if prune:
            self.call(operations.prune(self.keys, order), lambda: self.world.prune(order))
        else:
            self.call(operations.promote(self.keys, order), lambda: self.world.promote(order))

    # -- what happens to them

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_call_is_repeated(self, data: st.DataObject) -> None:
        operation, predict = data.draw(st.sampled_from(self.calls))
        self.call(operation, predict)

    @precondition(lambda self: self.calls)
    @rule()
    def the_last_call_is_repeated(self) -> None:
        self.call(*self.calls[-1])

    @rule(units=st.sampled_from([1, 1, 2, 10, 10_000, -8]))
    def time_passes(self, units: int) -> None:
        """Or the clock is put back."""
        self.look(units * UNIT)

    @precondition(lambda self: any(self.world.ids("started")))
    @rule(units=st.integers(3, 7), order=some_queues)
    def workers_are_lost_while_others_beat(self, units: int, order: list[str]) -> None:
        for _ in range(units):
            self.time_passes(1)
            self.extend("w2", 0)
        self.recover(order)

    @rule(what=st.sampled_from(["leave", "drop", "pause", "resume"]), queue=queues, worker=workers)
    def somebody_intervenes(self, what: str, queue: str, worker: str) -> None:
        match what:
            case "leave":
                self.call(operations.leave(self.keys, worker), lambda: self.world.leave(worker))
            case "drop":
                self.call(operations.drop(self.keys, queue), lambda: self.world.drop(queue))
            case _:
                paused = what == "pause"
                operation = operations.pause(self.keys, queue, paused=paused)
                self.call(operation, lambda: self.world.pause(queue, paused))

    @rule(what=st.sampled_from(["wake", "flush", "full", "memory", "memory"]), queue=queues)
    def something_happens(self, what: str, queue: str) -> None:
        """A worker takes the wake token, scripts are flushed, memory ends or is there again."""
        match what:
            case "wake":
                self.mirror.command("LPOP", self.keys.wake(queue))
                self.world.awake.discard(queue)
            case "flush":
                self.mirror.command("SCRIPT", "FLUSH")
            case _:
                self.world.full = what == "full"
                self.mirror.command("CONFIG", "SET", "maxmemory", int(self.world.full))

    @rule(registry=st.sampled_from(REGISTRIES), queue=queues, offset=st.integers(0, 3), newest=st.booleans())
    def somebody_reads(self, registry: str, queue: str, offset: int, newest: bool) -> None:
        pairs = list(itertools.product(REGISTRIES, QUEUES))
        counts = self.client.run(operations.count(self.keys, pairs))
        assert counts == [len(self.world.visible(*pair)) for pair in pairs]

        page = operations.list_ids(self.keys, registry, queue, offset=offset, limit=2, newest=newest)
        visible = self.world.visible(registry, queue)
        assert self.client.run(page) == (visible[::-1] if newest else visible)[offset : offset + 2]

        waiting = self.world.visible("queue", queue)
        for job_id in IDS:
            found = self.client.run(operations.position(self.keys, queue, job_id))
            assert found == (waiting.index(job_id) if job_id in waiting else None)


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """One whose memory can be taken away."""
    binary = os.environ.get("AQUEUE_TEST_SERVER")
    with Server("--maxmemory-policy", "noeviction", aof=False, binary=binary).limited(NAMESPACE) as running:
        yield running


def run_model(
    client: SyncClient, server: Server, *, runs: int, steps: int, seed: int = 0, shrink: bool = True
) -> None:
    """Raises what the model finds; closes the client, which leads to this server."""
    JobMachine.client, JobMachine.administrator = client, SyncClient(from_url(server.admin_url))
    phases = (
        set(hypothesis.Phase) - {hypothesis.Phase.explain} - (set() if shrink else {hypothesis.Phase.shrink})
    )
    settings = hypothesis.settings(
        max_examples=runs, stateful_step_count=steps, deadline=None, database=None, phases=phases,
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
        print_blob=False,
    )  # fmt: skip
    machine = hypothesis.seed(seed)(type("JobMachine", (JobMachine,), {}))
    try:
        run_state_machine_as_test(machine, settings=settings)
    finally:
        JobMachine.client.close()
        JobMachine.administrator.close()


@pytest.mark.timeout(6 * 3600)
def test_random_calls_keep_the_promises(own_server: Server) -> None:
    setting = os.environ.get
    run_model(
        SyncClient(from_url(own_server.url)),
        own_server,
        runs=int(setting("AQUEUE_MODEL_RUNS", "80")),
        steps=int(setting("AQUEUE_MODEL_STEPS", "50")),
        seed=int(setting("AQUEUE_MODEL_SEED", "0")),
    )
