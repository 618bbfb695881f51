"""I11: how long after a kill the jobs of the killed worker were run again."""

from __future__ import annotations

from collections import defaultdict

from tests.chaos.ledger import Entry
from tests.chaos.procs import Fleet
from tests.chaos.seen import Seen
from tests.chaos.stalls import Stalls

#: Seconds beyond the lease that are promised.
PROMISED = 2.0
#: And those that a machine with other work to do may take for starting them, before it is a failure here.
SLACK = 4.0


def measure(fleet: Fleet, stalls: Stalls, seen: Seen) -> None:
    """Note each recovery from a job's first loss; later ones are put off on purpose.

    Raises:
        AssertionError: One took far longer than promised, and this machine did not stand still meanwhile.
    """
    runs: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in fleet.ledger.entries():
        runs[entry.job_id].append(entry)
    killed = {worker.pid: worker for worker in fleet.workers if worker.killed_at is not None}
    for job_id, entries in runs.items():
        starts = [entry for entry in entries if entry.event == "start"]
        if len(starts) < 2 or starts[0].pid not in killed:
            continue
        worker, again = killed[starts[0].pid], starts[1].at
        assert worker.killed_at is not None
        if again < worker.killed_at or starts[1].fence > starts[0].fence + 1:
            continue  # run again for another reason, or lost a second time before its code began
        beyond = again - worker.killed_at - worker.lease
        seen.recovered(beyond)
        stood = stalls.between(worker.killed_at, again)
        assert beyond - stood <= PROMISED + SLACK, f"{job_id} was run again {beyond:.1f} s after its lease"
