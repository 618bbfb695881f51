"""The invariants, looked for after each scenario in all of Redis and in the ledger.

I1   every acknowledged job has ended, or it would lie in one live registry: none is lost
I2   each has one recorded outcome, that of a lease which was valid
I3   the registries partition the records, each record names its own, nothing dangles
I4   every start is explained: by the first claim, a retry, a release or a lease that was lost
I5   ended jobs have a TTL, live keys have none, and after pruning nothing of the jobs is left
I9   whoever lost the lease has changed nothing (I2 and I4 say so for each record)
I10  attempts, losses and releases are within their limits
I11  lost jobs were run again soon (see `recoveries`)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from aqueue._core.record import JobRecord
from aqueue._core.status import ENDED, REGISTRY_OF
from aqueue._redis import operations
from aqueue.connection import Namespace
from tests.chaos.ledger import Ledger
from tests.chaos.seen import DOUBLE_RECORDED, DUPLICATES, LOST, Seen
from tests.servers import Server

REGISTRIES = sorted(set(REGISTRY_OF.values()))
#: Kinds of keys of jobs that have ended; they have a TTL.
TEMPORARY = {"result", "history", "reply", "worker"}
#: Kinds of keys that a namespace always has.
LASTING = {"meta", "queues", "wake", "workers", "heartbeat", "hold"}


class Checker:
    """Looks at the whole namespace with a client of its own."""

    def __init__(self, server: Server, space: Namespace, ledger: Ledger, *queues: str) -> None:
        self._server = server
        self._space = space
        self._keys = space.keys
        self._ledger = ledger
        self._queues = queues or ("default",)
        self._forgets = False

    def bear_forgetting(self) -> None:
        """Redis itself loses what was written last: jobs may be gone, and starts that it knew of."""
        self._forgets = True

    def serve(self, *queues: str) -> None:
        """Look at these queues."""
        self._queues = queues

    def ended(self) -> int:
        """How many jobs have ended, by the counters."""
        with self._server.client() as client:
            return sum(self._totals(client, queue).total() for queue in self._queues)

    def leases_lost(self) -> int:
        """How many leases were lost, by the counters."""
        with self._server.client() as client:
            metas: list[Any] = [client.hgetall(self._keys.meta(queue)) for queue in self._queues]
        return sum(int(meta.get(b"lost", 0)) for meta in metas)

    def check(self, acked: Iterable[str], seen: Seen | None = None) -> dict[str, JobRecord]:
        """Check every invariant for these jobs, all of which have ended; their records."""
        seen = Seen() if seen is None else seen
        with self._server.client() as client:
            records = self._records(client)
            self._check_lost(set(acked), records, seen)
            self._check_registries(client, records)
            for queue in self._queues:
                self._check_totals(client, queue, records, seen)
            self._check_ttls(client, records)
        for record in records.values():
            assert record.status in ENDED, f"{record.id} is {record.status}"
            self._check_counters(record)
        self._check_starts(records, seen)
        return records

    async def check_nothing_stays(self) -> None:
        """I5: let all kept jobs become old, prune, and look what is left. No worker runs."""
        client: Any
        with self._server.client() as client:
            for queue in self._queues:
                for registry in ("finished", "failed", "canceled", "expired"):
                    name = self._keys.registry(registry, queue)
                    for member in client.zrange(name, 0, -1):
                        client.zadd(name, {member: 1})
            prune = operations.prune(self._keys, self._queues)
            while await self._space.client.run(prune):
                pass
            left = {key.decode() for key in client.scan_iter(match=self._keys.prefix + "*", count=1000)}
            odd = {key for key in left if self._kind(key) not in LASTING | {"worker", "reply"}}
            assert not odd, f"{len(odd)} keys are left when all jobs are pruned, as {min(odd)}"

    def _kind(self, key: str) -> str:
        return key.removeprefix(self._keys.prefix).partition(":")[0]

    def _totals(self, client: Any, queue: str) -> Counter[str]:
        meta = client.hgetall(self._keys.meta(queue))
        return Counter({status: int(meta.get(status.encode(), 0)) for status in map(str, ENDED)})

    def _records(self, client: Any) -> dict[str, JobRecord]:
        prefix = self._keys.job("")
        names = [key.decode() for key in client.scan_iter(match=prefix + "*", count=1000)]
        found: dict[str, JobRecord] = {}
        for start in range(0, len(names), 500):
            batch = names[start : start + 500]
            pipeline = client.pipeline(transaction=False)
            for name in batch:
                pipeline.hgetall(name)
            for name, fields in zip(batch, pipeline.execute(), strict=True):
                job_id = name.removeprefix(prefix)
                found[job_id] = JobRecord(job_id, fields)
        return found

    def _check_lost(self, acked: set[str], records: dict[str, JobRecord], seen: Seen) -> None:
        lost = acked - set(records)
        if self._forgets:
            seen.add("forgotten", len(lost))
            lost.clear()
        seen.add(LOST, len(lost) + sum(record.status not in ENDED for record in records.values()))
        assert not lost, f"lost {sorted(lost)[:5]}"
        unknown = set(records) - acked
        assert not unknown, f"nobody was told of {sorted(unknown)[:5]}"

    def _check_registries(self, client: Any, records: dict[str, JobRecord]) -> None:
        """The registries partition the records, and each record names its own."""
        places: Counter[str] = Counter()
        for queue in self._queues:
            for registry in REGISTRIES:
                for member in client.zrange(self._keys.registry(registry, queue), 0, -1):
                    job_id = member.decode()
                    places[job_id] += 1
                    assert job_id in records, f"{job_id} in {registry} has no record"
                    record = records[job_id]
                    assert (REGISTRY_OF[record.status], record.queue) == (registry, queue), job_id
        assert set(places) == set(records), "a record lies in no registry"
        assert not [job_id for job_id, count in places.items() if count > 1]

    def _check_totals(self, client: Any, queue: str, records: dict[str, JobRecord], seen: Seen) -> None:
        outcomes = sum(1 + record.incarnation for record in records.values() if record.queue == queue)
        recorded = self._totals(client, queue).total()
        seen.add(DOUBLE_RECORDED, max(0, recorded - outcomes))
        assert recorded == outcomes, f"{recorded} outcomes were recorded in {queue}, not {outcomes}"

    def _check_ttls(self, client: Any, records: dict[str, JobRecord]) -> None:
        """Whatever has ended goes by itself, and nothing else does."""
        names = [key.decode() for key in client.scan_iter(match=self._keys.prefix + "*", count=1000)]
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.pttl(name)
        for name, ttl in zip(names, pipeline.execute(), strict=True):
            kind = self._kind(name)
            if kind == "job":
                record = records.get(name.removeprefix(self._keys.job("")))
                assert record is None or (ttl >= 0) == (record.status in ENDED), f"{name} lives {ttl} ms"
            elif kind in TEMPORARY:
                assert ttl != -1, f"{name} would stay for ever"
            else:
                assert kind in LASTING | {*REGISTRIES, "expiring"}, f"{name} is no key of ours"

    def _check_counters(self, record: JobRecord) -> None:
        """I10."""
        assert record.attempts <= record.retry.max, f"{record.id}: {record.attempts} attempts"
        assert record.lost <= record.max_lost + 1, f"{record.id} was lost {record.lost} times"

    def _check_starts(self, records: dict[str, JobRecord], seen: Seen) -> None:
        """Every start is explained by a lease, every lease by the way it ended."""
        entries = self._ledger.entries()
        leases = Counter((entry.job_id, entry.token) for entry in entries if entry.event == "start")
        assert not [lease for lease, count in leases.items() if count > 1], "one lease was run twice"
        ends = {(entry.job_id, entry.token) for entry in entries if entry.event == "end"}
        starts = self._ledger.starts()
        for record in records.values():
            asked_for = record.attempts + record.releases + record.misses
            if not self._forgets:
                seen.add(DUPLICATES, max(0, starts[record.id] - 1 - asked_for))
            settled = record.error_type != "AbandonedJobError"
            if not record.incarnation:  # a requeue sets the counters back, but not the fence
                ended = {settled, False} if record.status == "canceled" else {settled}  # also while it waited
                assert record.fence - record.lost - asked_for in ended, (record.id, record.fields)
            assert self._forgets or starts[record.id] <= record.fence, (
                f"{record.id} started {starts[record.id]} times"
            )
            if record.status == "finished":
                assert (record.id, record.token) in ends, f"{record.id}: the outcome of none"
