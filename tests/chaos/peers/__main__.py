"""`python -m tests.chaos.peers --environments DIR`: other queues under nine faults, beside aqueue.

DIR has one virtual environment for each queue, by its name: DIR/rq, DIR/arq, ... Each queue has the settings
of its module in `queues`. One line of docs/reliability-peers.jsonl is kept for each run.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import subprocess
import sys
from pathlib import Path

from tests.chaos.peers.book import Row, keep
from tests.chaos.peers.faults import FAULTS
from tests.chaos.peers.trial import Trial

#: Its distributions, and how long to wait for jobs after a fault, seconds: well beyond what it is set to.
PEERS = {
    "aqueue": (["aqueue"], 30.0),
    "rq": (["rq"], 100.0),
    "arq": (["arq"], 60.0),
    "saq": (["saq"], 40.0),
    "streaq": (["streaq"], 40.0),
    "taskiq": (["taskiq", "taskiq-redis"], 40.0),
    "dramatiq": (["dramatiq"], 40.0),
    "docket": (["pydocket"], 40.0),
}


def versions(python: str, distributions: list[str]) -> str:
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run([python, "-c", code, *distributions], capture_output=True, text=True, check=True)
    return ", ".join(map(" ".join, zip(distributions, done.stdout.split(), strict=True)))


async def run(peer: str, python: str, fault: str) -> str:
    """What became of a queue under a fault."""
    async with Trial(peer, python, patience=PEERS[peer][1]) as trial:
        try:
            return await FAULTS[fault].run(trial)
        except Exception as error:
            return f"not measured: {type(error).__name__}: {error}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--environments", type=Path, help="a folder with a virtual environment for each queue"
    )
    parser.add_argument("--peers", default=",".join(PEERS), help="names with commas; default: all")
    parser.add_argument("--faults", default=",".join(FAULTS), help="ids with commas; default: all")
    given = parser.parse_args()
    for peer in given.peers.split(","):
        python = sys.executable if peer == "aqueue" else str(given.environments / peer / "bin" / "python")
        for fault in given.faults.split(","):
            seen = await run(peer, python, fault)
            print(f"{fault} {peer:9} {seen}", flush=True)
            day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            keep(Row(fault, peer, versions(python, PEERS[peer][0]), seen, day))


asyncio.run(main())
