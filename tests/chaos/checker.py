"""After each scenario: nothing is lost, nothing is doubled, nothing dangles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from aqueue._core.record import JobRecord
from aqueue._core.status import ENDED, REGISTRY_OF
from aqueue.connection import Namespace
from tests.chaos.ledger import Ledger
from tests.servers import Server

REGISTRIES = sorted(set(REGISTRY_OF.values()))


class Checker:
    """Looks at the whole namespace with a client of its own."""

    def __init__(self, server: Server, space: Namespace, ledger: Ledger, *queues: str) -> None:
        self._server = server
        self._keys = space.keys
        self._ledger = ledger
        self._queues = queues or ("default",)

    def ended(self) -> int:
        """How many jobs have ended, by the counters."""
        with self._server.client() as client:
            return sum(self._totals(client, queue).total() for queue in self._queues)

    def check(self, acked: Iterable[str]) -> dict[str, JobRecord]:
        """Check every invariant for these jobs, all of which have ended; their records."""
        with self._server.client() as client:
            records = self._records(client)
            self._check_registries(client, records)
            ids = set(acked)
            assert ids == set(records), f"lost {sorted(ids - set(records))[:5]}"
            for queue in self._queues:
                in_queue = [record for record in records.values() if record.queue == queue]
                assert self._totals(client, queue).total() == len(in_queue), "a job ended more than once"
        for record in records.values():
            assert record.status in ENDED, f"{record.id} is {record.status}"
        self._check_starts(records)
        return records

    def _totals(self, client: Any, queue: str) -> Counter[str]:
        meta = client.hgetall(self._keys.meta(queue))
        return Counter({status: int(meta.get(status.encode(), 0)) for status in map(str, ENDED)})

    def _records(self, client: Any) -> dict[str, JobRecord]:
        prefix = self._keys.job("")
        found: dict[str, JobRecord] = {}
        for key in client.scan_iter(match=prefix + "*", count=1000):
            job_id = key.decode().removeprefix(prefix)
            found[job_id] = JobRecord(job_id, client.hgetall(key))
        return found

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

    def _check_starts(self, records: dict[str, JobRecord]) -> None:
        """Every start is explained by a lease, every lease by the way it ended."""
        entries = self._ledger.entries()
        leases = Counter((entry.job_id, entry.token) for entry in entries if entry.event == "start")
        assert not [lease for lease, count in leases.items() if count > 1], "one lease was run twice"
        ends = {(entry.job_id, entry.token) for entry in entries if entry.event == "end"}
        starts = self._ledger.starts()
        for record in records.values():
            explained = record.lost + record.attempts + record.releases + record.misses
            settled = record.error_type != "AbandonedJobError"
            assert record.fence == explained + settled, (record.id, record.fields)
            assert starts[record.id] <= record.fence, f"{record.id} started {starts[record.id]} times"
            if record.status == "finished":
                assert (record.id, record.token) in ends, f"{record.id}: the outcome of none"
