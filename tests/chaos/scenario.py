"""What a scenario is: one small function with an id, its numbers, and the stage that it is given.

    @scenario("T01", "workers are killed at random", checks="I1 I2 I3 I4 I5 I10 I11",
              quick={"jobs": 60, "kills": 3}, full={"jobs": 1000, "kills": 25}, parts=20)
    async def killed_at_random(stage: Stage) -> None: ...

At scale `quick` it is one run of a few seconds; at scale `full` it is `parts` runs with other seeds.
After each run the checker looks at the invariants, for all ids in `stage.acked`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from aqueue import Job, Queue
from aqueue.batch import EnqueueData
from tests.chaos.checker import Checker
from tests.chaos.ledger import Ledger
from tests.chaos.procs import Fleet
from tests.chaos.seen import Seen
from tests.chaos.stalls import Stalls
from tests.chaos.waits import Waits
from tests.servers import Server
from tests.support import wait_until

Scale: TypeAlias = Literal["quick", "full"]
Numbers: TypeAlias = Mapping[str, float]
Function: TypeAlias = "Callable[[Stage], Awaitable[None]]"


@dataclass(kw_only=True)
class Stage:
    """What one run of a scenario works with; all of it is its own, and gone afterwards."""

    numbers: Numbers
    dice: random.Random
    folder: Path
    server: Server
    queue: Queue
    fleet: Fleet
    checker: Checker
    stalls: Stalls
    waits: Waits = field(default_factory=Waits)
    seen: Seen = field(default_factory=Seen)
    #: Ids whose enqueue has returned: all of them must end, once.
    acked: list[str] = field(default_factory=list[str])

    def number(self, name: str) -> int:
        return int(self.numbers[name])

    @property
    def ledger(self) -> Ledger:
        return self.fleet.ledger

    async def enqueue(self, func: Callable[..., Any], *args: Any, **options: Any) -> Job[Any]:
        """Enqueue a job that must end."""
        job: Job[Any] = await self.queue.enqueue(func, *args, **options)
        self.acked.append(job.id)
        return job

    async def enqueue_many(self, queue: Queue, datas: Iterable[EnqueueData]) -> None:
        """Enqueue jobs that must end; somebody waits for one in ten."""
        for job in await queue.enqueue_many(datas):
            self.acked.append(job.id)
            if self.dice.random() < 0.1:
                self.waits.add(job)

    def bear_losses(self, job: Job[Any], count: int) -> None:
        """Let a job lose its worker so often before it is given up."""
        with self.server.client() as client:
            client.hset(self.queue.space.keys.job(job.id), "max_lost", str(count))

    async def all_ended(self, timeout: float = 90) -> None:
        """Wait until all acknowledged jobs have ended."""
        await wait_until(
            lambda: self.checker.ended() >= len(self.acked),
            timeout=timeout,
            every=0.05,
            description=f"the end of {len(self.acked)} jobs",
        )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    id: str
    title: str
    #: Names of invariants, as the checker has them. Without any the scenario looks for itself.
    checks: frozenset[str]
    quick: Numbers
    full: Numbers
    parts: int
    server: Callable[[], Server]
    function: Function
    #: The module it stands in, for the page.
    module: str

    def numbers(self, scale: Scale) -> Numbers:
        return self.quick if scale == "quick" else self.full


#: By id, in the order of registration.
SCENARIOS: dict[str, Scenario] = {}


def scenario(
    id: str,
    title: str,
    *,
    checks: str = "I1 I2 I3 I4 I10",
    quick: Numbers,
    full: Numbers,
    parts: int = 1,
    server: Callable[[], Server] = Server,
) -> Callable[[Function], Function]:
    """Register a scenario.

    Args:
        checks: The invariants that hold after it, with spaces; "" where it has no use for the checker.
        quick: Its numbers for CI: 2 to 8 seconds.
        full: Its numbers for one part of a large run: at most two minutes.
        parts: How many parts with other seeds make up the whole of a large run.
        server: Makes its Redis, which has an AOF and a free port.
    """

    def register(function: Function) -> Function:
        assert id not in SCENARIOS, f"{id} is there already"
        SCENARIOS[id] = Scenario(
            id=id, title=title, checks=frozenset(checks.split()), quick=quick, full=full, parts=parts,
            server=server, function=function, module=function.__module__,
        )  # fmt: skip
        return function

    return register
