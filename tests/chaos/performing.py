"""Run a scenario once: make its stage, let it act, look at the invariants, clear away."""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from aqueue import Queue
from tests.chaos.aftermath import check_memory, check_scripts, check_workers, memory
from tests.chaos.checker import Checker
from tests.chaos.procs import Fleet
from tests.chaos.recoveries import measure
from tests.chaos.scenario import Scale, Scenario, Stage
from tests.chaos.seen import Seen
from tests.chaos.stalls import Stalls
from tests.servers import Server

NAMESPACE = "chaos"


@dataclass(frozen=True, slots=True)
class Result:
    seen: Seen
    seconds: float
    #: What was wrong, in one line; None when nothing was.
    failure: str | None
    traceback: str = ""


async def perform(scenario: Scenario, scale: Scale, seed: int, part: int = 0) -> Result:
    """Run it; what it saw, also when it fails."""
    began = time.monotonic()
    dice = random.Random(f"{scenario.id} {seed} {part}")
    with tempfile.TemporaryDirectory(prefix="aqueue-chaos-") as folder, limited(scenario) as server:
        async with Queue("default", server.url, namespace=NAMESPACE) as queue, Stalls() as stalls:
            with Fleet(server.url, NAMESPACE, Path(folder)) as fleet:
                seen, before = Seen(), memory(server)
                stage = Stage(
                    numbers=scenario.numbers(scale), dice=dice, folder=Path(folder), server=server,
                    queue=queue, fleet=fleet, stalls=stalls, seen=seen,
                    checker=Checker(server, queue.space, fleet.ledger),
                )  # fmt: skip
                try:
                    await scenario.function(stage)
                    await _judge(scenario, stage, before)
                except Exception as error:
                    stage.waits.stop()
                    line = f"{type(error).__name__}: {str(error) or 'no message'}".splitlines()[0][:300]
                    told = traceback.format_exc() + _logs(fleet)
                    return Result(seen, time.monotonic() - began, line, told)
    return Result(seen, time.monotonic() - began, None)


def limited(scenario: Scenario) -> Server:
    """Its server, for a user who may do little more than SECURITY.md says."""
    return scenario.server().limited(NAMESPACE, "~{aqueue}:*", "&{aqueue}:*", "+client|setname")


async def _judge(scenario: Scenario, stage: Stage, before: int) -> None:
    if scenario.checks:
        stage.seen.add("jobs", len(stage.acked))
        stage.checker.check(stage.acked, stage.seen)
        check_workers(stage.fleet)
    stage.seen.add("waiters", await stage.waits.check())
    if "I11" in scenario.checks:
        measure(stage.fleet, stage.stalls, stage.seen)
    if "I12" in scenario.checks:
        check_scripts(stage.server, stage.seen)
    if "I5" in scenario.checks:
        stage.fleet.kill_all()
        await stage.checker.check_nothing_stays()
        check_memory(stage.server, before)


def _logs(fleet: Fleet) -> str:
    """The last lines of the last workers' logs."""
    return "".join(
        f"\n--- worker {worker.pid}, exit code {worker.code}\n{worker.output[-2000:]}"
        for worker in fleet.workers[-4:]
    )
