"""Who is measured, and how each is set up. Settings of peers are those that served them best in trials."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Concurrencies at which we and the floor are drained.
CONCURRENCIES = (1, 10, 100, 1_000)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A queue to measure."""

    name: str
    #: In tests/benchmarks/peers.
    adapter: str
    #: What must be importable for it, and the distributions whose versions matter.
    package: str
    distributions: tuple[str, ...]
    #: What its worker is told for no-ops, by concurrency; peers know only 100, which means their best.
    drain: Mapping[int, str]
    #: For 100 jobs that wait at the same time; None: it cannot.
    nap: str | None
    #: For single jobs.
    idle: str
    #: Jobs in a drain: about ten seconds of a slow peer, a second of a fast one.
    jobs: int = 10_000
    #: The name of a plain function that it runs in threads; None: it does not.
    plain: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    is_floor: bool = False
    has_bulk: bool = True
    is_async: bool = True
    can_fetch: bool = False
    can_schedule: bool = True

    @property
    def is_rival(self) -> bool:
        """Whether it is another project's."""
        return not self.is_floor and self.name != "aqueue"


_FLOOR = {1: "1:1:1", 10: "10:10:1", 100: "100:200:100", 1_000: "100:1000:100"}


def _floor(name: str, transport: str) -> Peer:
    return Peer(
        name=name, adapter="floor", package="redis", distributions=("redis", "hiredis"), drain=_FLOOR,
        nap="100:100:1", idle="100:200:1", jobs=50_000, environment={"BENCH_TRANSPORT": transport},
        is_floor=True, can_schedule=False,
    )  # fmt: skip


def _peer(name: str, *distributions: str, package: str = "", drain: str, **more: Any) -> Peer:
    more = {"nap": "100", "idle": drain, **more}
    return Peer(
        name=name, adapter=name, package=package or name, distributions=distributions or (name,),
        drain={100: drain}, **more,
    )  # fmt: skip


_ALL = [
    Peer(
        name="aqueue", adapter="aqueue", package="aqueue", distributions=("aqueue", "redis", "hiredis"),
        drain={number: str(number) for number in CONCURRENCIES}, nap="100", idle="100", jobs=50_000,
        plain="sync_noop", can_fetch=True,
    ),
    _floor("floor", "wire"),
    _floor("floor-pooled", "pooled"),
    _peer("docket", "pydocket", drain="50:0.001", nap="50:0.001", idle="10"),
    _peer("saq", drain="100", has_bulk=False),
    _peer(
        "taskiq", "taskiq", "taskiq-redis", package="taskiq_redis", drain="10", plain="sync_noop",
        has_bulk=False,
    ),
    _peer("bullmq", drain="10"),
    _peer("arq", drain="1000", has_bulk=False),
    _peer("streaq", drain="10"),
    _peer("rq", drain="simple", nap=None, jobs=2_000, plain="noop", is_async=False, can_fetch=True),
]  # fmt: skip
PEERS = {peer.name: peer for peer in _ALL}


def python_of(peer: Peer, environments: Path | None) -> str | None:
    """The interpreter that has it: `environments`/name/bin/python, or this one; None: it is not installed."""
    own = environments and environments / peer.name / "bin" / "python"
    if own and own.exists() and peer.is_rival:
        return str(own)
    return sys.executable if importlib.util.find_spec(peer.package) is not None else None


def versions(peer: Peer, python: str) -> str:
    """Of its distributions."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run(
        [python, "-c", code, *peer.distributions], capture_output=True, text=True, check=True
    )
    return ", ".join(map(" ".join, zip(peer.distributions, done.stdout.split(), strict=True)))
