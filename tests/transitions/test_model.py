"""The state machine against a model of it: random calls, replayed calls, zombies and time that passes.

After every step the registries partition the jobs, every status is what the model says, and the
totals count each ending once.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aqueue._core.names import new_nonce
from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.status import ENDED, REGISTRY_OF, JobStatus
from aqueue._redis import operations
from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup, NewJob, Operation
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from aqueue.errors import InvalidJobOperation, NoSuchJobError
from tests.servers import Server

QUEUES: tuple[str, ...] = ("a", "b")
REGISTRIES = ("queue", "scheduled", "deferred", "started", "finished", "failed", "canceled", "expired")
LEASE = 30_000
HOUR = 3_600_000
ERROR = Failed("ValueError", "no", "ValueError: no")
OUTCOMES: list[Outcome] = [
    Finished(b"r"),
    ERROR,
    Retried(ERROR, 0),
    Retried(ERROR, HOUR),
    Released(),
    Released(HOUR, True),
    Stopped(),
    Canceled(),
]


@dataclass
class Model:
    """What the model knows of one id."""

    queue: str
    status: str = "queued"
    token: str = ""
    lost: int = 0
    request: str = ""
    ttl: bool = False
    gone: bool = False


class JobMachine(RuleBasedStateMachine):
    """Calls the scripts as producers, workers and maintenance do."""

    server: ClassVar[Server]
    client: ClassVar[SyncClient]
    namespaces: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys(f"model{next(self.namespaces)}")
        self.jobs: dict[str, Model] = {}
        self.leases: list[Lease] = []
        self.paused: set[str] = set()
        self.ended = dict.fromkeys(itertools.product(QUEUES, ENDED), 0)
        self.done: list[Operation[Any]] = []
        self.nonces = map(str, itertools.count(1))

    def run(self, operation: Operation[Any], *, replay: bool = True) -> Any:
        if replay:
            self.done = [*self.done[-5:], operation]
        return self.client.run(operation)

    def raw(self, *command: str | float) -> Any:
        return self.client.read(Lookup([command], lambda replies: replies[0]))

    def end(self, job: Model, status: str) -> None:
        job.status, job.token, job.request = status, "", ""
        self.ended[job.queue, JobStatus(status)] += 1

    @rule(
        numbers=st.lists(st.integers(0, 7), min_size=1, max_size=4),
        queue=st.sampled_from(QUEUES),
        delay=st.sampled_from([0, 0, 0, HOUR]),
        mode=st.sampled_from(["", "", "front", "save"]),
        ttl=st.sampled_from([None, None, HOUR * 2]),
        priority=st.integers(-1, 1),
    )
    def enqueue(
        self, numbers: list[int], queue: str, delay: int, mode: str, ttl: int | None, priority: int
    ) -> None:
        fields: list[bytes] = [b"function", b"f", b"data", b"d", b"priority", b"%d" % priority]
        fields += [] if ttl is None else [b"ttl", b"%d" % ttl]
        new = [NewJob(f"job{number}", new_nonce(), fields, mode, priority, delay, ttl) for number in numbers]
        words = self.run(operations.enqueue(self.keys, queue, new)).words
        status = "created" if mode == "save" else "scheduled" if delay else "queued"
        taken = {id for id, job in self.jobs.items() if job.status not in ENDED and job.status != "created"}
        for number, word in zip(numbers, words, strict=True):
            job_id = f"job{number}"
            if job_id in taken:
                assert word == f"duplicate {self.jobs[job_id].status}"
            else:
                assert word == status
                self.jobs[job_id] = Model(queue, status, ttl=ttl is not None)
                taken.add(job_id)

    @precondition(lambda self: all(job.status != "started" for job in self.jobs.values()))
    @rule()
    def a_few_jobs_run(self) -> None:
        """The way most jobs go, so that random calls meet jobs in every status."""
        self.enqueue([0, 1, 2, 3, 4], "a", 0, "", None, 0)
        self.claim(3, ["a", "b"])

    @precondition(lambda self: any(job.status == "queued" for job in self.jobs.values()))
    @rule(limit=st.integers(0, 4), order=st.permutations(QUEUES))
    def claim(self, limit: int, order: list[str]) -> None:
        operation = operations.claim(
            self.keys,
            order,
            worker_id="w",
            name="label",
            nonce=next(self.nonces),
            limit=limit,
            lease_ms=LEASE,
        )
        claimed = self.run(operation, replay=False)
        again = self.run(operation, replay=False)
        if limit:
            assert [(x.job_id, x.token) for x in again.leases] == [
                (x.job_id, x.token) for x in claimed.leases
            ]
        waiting = sum(job.status == "queued" and job.queue not in self.paused for job in self.jobs.values())
        assert len(claimed.leases) == min(limit, waiting)
        for lease in claimed.leases:
            job = self.jobs[lease.job_id]
            assert (job.status, job.queue in self.paused) == ("queued", False)
            job.status, job.token, job.ttl = "started", lease.token, False
            self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), times=st.integers(1, 2))
    def settle_again(self, data: st.DataObject, times: int) -> None:
        self.settle(data, times)

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), times=st.integers(1, 2))
    def settle(self, data: st.DataObject, times: int) -> None:
        """Any lease ever given out, so zombies too."""
        lease = data.draw(st.sampled_from(self.leases))
        outcome = data.draw(st.sampled_from(OUTCOMES))
        job = self.jobs.get(lease.job_id)
        holds = job is not None and job.status == "started" and job.token == lease.token
        operation = operations.settle(self.keys, [(lease, outcome)] * times)
        words = self.run(operation)
        if holds:
            assert job is not None
            self.settled(job, outcome)
            runs_no_more = isinstance(outcome, Retried | Released) and job.status in ("canceled", "stopped")
            assert words == [job.status if runs_no_more else "ok"] * times
            assert self.run(operation) == words

    def settled(self, job: Model, outcome: Outcome) -> None:
        match outcome:
            case Finished():
                self.end(job, "finished")
            case Failed():
                self.end(job, "failed")
            case Stopped():
                self.end(job, "stopped")
            case Canceled():
                self.end(job, "canceled")
            case Retried(_, delay) | Released(delay):
                if job.request:
                    self.end(job, "stopped" if job.request == "stop" else "canceled")
                else:
                    job.status, job.token = "scheduled" if delay else "queued", ""

    @precondition(lambda self: self.leases)
    @rule()
    def extend(self) -> None:
        extended = self.run(
            operations.extend(
                self.keys, self.leases[-500:], worker_id="w", lease_ms=LEASE, facts={"lease": LEASE}
            )
        )
        for lease in self.leases[-500:]:
            job = self.jobs.get(lease.job_id)
            holds = job is not None and job.status == "started" and job.token == lease.token
            assert holds or lease.job_id in extended.lost

    def leases_expire_and_are_recovered(self) -> None:
        self.run(operations.extend(self.keys, [], worker_id="w", lease_ms=LEASE, facts={}))
        self.raw("DEL", self.keys.hold)
        for queue in QUEUES:
            for member in self.raw("ZRANGE", self.keys.registry("started", queue), 0, -1):
                self.raw("ZADD", self.keys.registry("started", queue), 1, member)
        recovered = self.run(operations.recover(self.keys, QUEUES, lease_ms=LEASE), replay=False)
        running = {job_id for job_id, job in self.jobs.items() if job.status == "started"}
        assert set(recovered.jobs) == running
        for job_id in running:
            self.lose(self.jobs[job_id])

    def lose(self, job: Model) -> None:
        job.lost += 1
        if job.request:
            self.end(job, "stopped" if job.request == "stop" else "canceled")
        elif job.lost > 3:
            self.end(job, "failed")
        else:
            job.status, job.token = "queued" if job.lost == 1 else "scheduled", ""

    def scheduled_jobs_become_due(self) -> None:
        for queue in QUEUES:
            for member in self.raw("ZRANGE", self.keys.registry("scheduled", queue), 0, -1):
                self.raw("ZINCRBY", self.keys.registry("scheduled", queue), -2 * HOUR, member)
        self.run(operations.promote(self.keys, QUEUES))
        for job in self.jobs.values():
            if job.status == "scheduled":
                job.status = "queued"
        for queue in QUEUES:  # their ttl counts from the due time, which lies in the past now
            for member in self.raw("ZRANGE", self.keys.registry("expiring", queue), 0, -1):
                self.raw("ZADD", self.keys.registry("expiring", queue), "XX", "GT", 9e12, member)

    def waiting_jobs_pass_their_ttl(self) -> None:
        expired: set[str] = set()
        for queue in QUEUES:
            for member in self.raw("ZRANGE", self.keys.registry("expiring", queue), 0, -1):
                self.raw("ZADD", self.keys.registry("expiring", queue), 1, member)
                expired.add(member.decode())
        assert expired == {id for id, job in self.jobs.items() if job.ttl and job.status == "queued"}
        self.run(operations.prune(self.keys, QUEUES))
        for job_id in expired:
            self.end(self.jobs[job_id], "expired")

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 7), mode=st.sampled_from(["cancel", "stop", "quarantine"]))
    def cancel(self, number: int, mode: str) -> None:
        job = self.jobs.get(f"job{number}")
        operation = operations.cancel(self.keys, f"job{number}", nonce=new_nonce(), mode=mode, error_type="E")
        running = job is not None and job.status == "started" and mode != "quarantine"
        waiting = job is not None and job.status in {"created", "queued", "scheduled"} and mode != "stop"
        if not (running or waiting):
            with pytest.raises(NoSuchJobError if job is None else InvalidJobOperation):
                self.run(operation)
            return
        assert job is not None
        status = self.run(operation)
        if running:
            assert status == "started"
            job.request = mode
        else:
            self.end(job, "canceled" if mode == "cancel" else "failed")
            assert status == job.status

    @precondition(lambda self: self.jobs)
    @rule(numbers=st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True), front=st.booleans())
    def requeue(self, numbers: list[int], front: bool) -> None:
        ids = [f"job{number}" for number in numbers]
        words = self.run(operations.requeue(self.keys, ids, nonce=new_nonce(), at_front=front))
        for job_id, word in zip(ids, words, strict=True):
            job = self.jobs.get(job_id)
            if job is None:
                assert word == "missing"
            elif job.status in ENDED:
                assert word == "ok"
                has_ttl = self.raw("HGET", self.keys.job(job_id), "ttl") is not None
                self.jobs[job_id] = Model(job.queue, "queued", ttl=has_ttl)
            else:
                assert word == job.status

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 7))
    def delete(self, number: int) -> None:
        job_id = f"job{number}"
        job = self.jobs.get(job_id)
        [word] = self.run(operations.delete(self.keys, [job_id], nonce=new_nonce()))
        if job is not None and job.status != "started":
            assert word == "ok"
            del self.jobs[job_id]
        else:
            assert word == ("missing" if job is None else "started")

    def ended_jobs_are_pruned(self) -> None:
        for queue, registry in itertools.product(QUEUES, REGISTRIES[4:]):
            for member in self.raw("ZRANGE", self.keys.registry(registry, queue), 0, -1):
                self.raw("ZADD", self.keys.registry(registry, queue), 1, member)
        self.run(operations.prune(self.keys, QUEUES))
        self.jobs = {id: job for id, job in self.jobs.items() if job.status not in ENDED}

    @precondition(lambda self: self.jobs)
    @rule(queue=st.sampled_from(QUEUES), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        self.run(operations.pause(self.keys, queue, paused=paused), replay=False)
        (self.paused.add if paused else self.paused.discard)(queue)

    @precondition(lambda self: self.jobs)
    @rule(
        what=st.sampled_from(
            ["leases_expire_and_are_recovered"] * 2
            + ["scheduled_jobs_become_due", "waiting_jobs_pass_their_ttl", "ended_jobs_are_pruned"]
        )
    )
    def time_passes(self, what: str) -> None:
        getattr(self, what)()

    @precondition(lambda self: self.done)
    @rule(forget=st.booleans())
    def the_last_call_is_repeated(self, forget: bool) -> None:
        if forget:
            self.raw("SCRIPT", "FLUSH")
        try:
            self.client.run(self.done[-1])
        except (NoSuchJobError, InvalidJobOperation):
            pass

    @invariant()
    def registries_partition_the_jobs(self) -> None:
        lists: dict[str, tuple[str, str]] = {}
        for queue, registry in itertools.product(QUEUES, REGISTRIES):
            for member in self.raw("ZRANGE", self.keys.registry(registry, queue), 0, -1):
                assert member.decode() not in lists, "in two registries"
                lists[member.decode()] = registry, queue
        filed = {id: job for id, job in self.jobs.items() if job.status != "created"}
        assert lists == {id: (REGISTRY_OF[JobStatus(job.status)], job.queue) for id, job in filed.items()}
        for job_id, job in self.jobs.items():
            assert self.raw("HGET", self.keys.job(job_id), "status").decode() == job.status
            live = self.raw("PTTL", self.keys.job(job_id)) == -1
            assert live == (job.status not in ENDED and job.status != "created")

    @invariant()
    def every_ending_is_counted_once(self) -> None:
        for (queue, status), count in self.ended.items():
            assert int(self.raw("HGET", self.keys.meta(queue), status) or 0) == count, (queue, status)


STEPS = int(os.environ.get("AQUEUE_MODEL_STEPS", "60"))
RUNS = int(os.environ.get("AQUEUE_MODEL_RUNS", "60"))


@pytest.mark.timeout(600)
def test_random_calls_keep_the_state_machine_s_promises(server: Server) -> None:
    JobMachine.server = server
    JobMachine.client = SyncClient(from_url(server.url))
    settings = hypothesis.settings(
        max_examples=RUNS, stateful_step_count=STEPS, deadline=None, database=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
    )  # fmt: skip
    run_state_machine_as_test(JobMachine, settings=settings)
    JobMachine.client.close()
