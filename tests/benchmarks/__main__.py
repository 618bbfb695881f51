"""`python -m tests.benchmarks`: aqueue, the floor and every peer that is installed, in one run, interleaved.

The order is repetition, figure, peer: what is compared was measured within the same minutes. Only ratios
within one run mean something.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import FIGURES, Figure
from tests.benchmarks.producing import Numbers
from tests.benchmarks.profiles import write_profiles
from tests.benchmarks.report import table, verdicts
from tests.benchmarks.roster import PEERS, python_of, versions
from tests.benchmarks.trial import Place
from tests.servers import Server, redis_binary

QUICK_PEERS = "aqueue,floor"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--figures", help="names or their first words, with commas: enqueue,drain_100,naps")
    parser.add_argument(
        "--peers", help=f"with commas, of {', '.join(PEERS)}; default: all that are installed"
    )
    parser.add_argument("--reps", type=int, help="repetitions; default: 3, quick 1")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the jobs, no long backlogs, few peers"
    )
    parser.add_argument(
        "--environments", type=Path, default=os.environ.get("BENCH_ENVIRONMENTS"),
        help="a folder with a virtual environment for each peer, by its name",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all that was measured there")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="keep profiles there, measure nothing")
    return parser.parse_args()


def chosen_figures(given: argparse.Namespace) -> list[Figure]:
    if given.figures is None:
        return [figure for figure in FIGURES.values() if not (given.quick and figure.is_long)]
    names = given.figures.split(",")
    chosen = [
        figure for figure in FIGURES.values() if {figure.name, figure.name.partition("_")[0]} & {*names}
    ]
    return chosen or sys.exit(f"no such figure; there are {', '.join(FIGURES)}")


def pythons(given: argparse.Namespace) -> dict[str, str]:
    """The interpreter of each peer that is to be measured."""
    names = given.peers or (QUICK_PEERS if given.quick else ",".join(PEERS))
    unknown = set(names.split(",")) - PEERS.keys()
    if unknown:
        sys.exit(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    found = {name: python_of(PEERS[name], given.environments) for name in names.split(",")}
    return {name: python for name, python in found.items() if python is not None}


def measure(place: Place, figures: Sequence[Figure], reps: int) -> dict[tuple[str, str], list[Numbers]]:
    """All of it; what there is until then when it is interrupted."""
    results: dict[tuple[str, str], list[Numbers]] = defaultdict(list)
    every = itertools.product(range(reps), figures, place.pythons)
    with contextlib.suppress(KeyboardInterrupt):
        for rep, figure, name in every:
            if figure.fits(PEERS[name]):
                numbers = attempt(place, figure, name)
                results[name, figure.name].append(numbers)
                shown = ", ".join(f"{key} {value:,.4g}" for key, value in numbers.items())
                print(f"{rep + 1} {figure.name:16} {name:13} {shown or 'failed'}", file=sys.stderr)
    return results


def attempt(place: Place, figure: Figure, name: str) -> Numbers:
    """Measure; a peer that breaks does not end the run."""
    try:
        return figure.measure(place, PEERS[name])
    except Exception as error:
        print(f"{figure.name} of {name}: {error}", file=sys.stderr)
        return {}


def facts(place: Place) -> dict[str, Any]:
    """Where and with what it was measured."""
    db: Any = place.server.client()
    info = db.info("server")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
        f"load {os.getloadavg()[0]:.1f} at the end",
        "python": platform.python_version(),
        "redis": f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}",
        "versions": [versions(PEERS[name], python) for name, python in place.pythons.items()],
    }


def main() -> None:
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, signal.default_int_handler
        )  # also in the background, and the server ends with us
    binary = redis_binary()
    with Server(aof=False, binary=binary) as server, tempfile.TemporaryDirectory() as folder:
        if given.profile:
            write_profiles(server, given.profile)
            return
        place = Place(server, Path(folder), pythons(given), cut=10 if given.quick else 1)
        began = time.monotonic()
        results = measure(place, chosen_figures(given), given.reps or (1 if given.quick else 3))
        about = {**facts(place), "seconds": round(time.monotonic() - began)}
    if given.json:
        rows = [{"peer": peer, "figure": name, "reps": found} for (peer, name), found in results.items()]
        given.json.write_text(json.dumps({**about, "results": rows}, indent=1) + "\n")
    print(*(f"{name}: {value}" for name, value in about.items()), sep="\n")
    print("", table(results, list(place.pythons)), "", verdicts(results), sep="\n")


if __name__ == "__main__":
    main()
