"""`python -m tests.chaos run --scale full --seed 7`: the scenarios in large numbers, and the page of results.

`list` shows them; `page` makes docs/reliability.md anew from what is in the book.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Iterator

from tests.chaos.book import Book
from tests.chaos.page import PAGE, render
from tests.chaos.performing import Result, perform
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import SCENARIOS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the scenarios")
    commands.add_parser("page", help="write the page of results")
    run = commands.add_parser("run", help="run scenarios; what was run with this seed is not run again")
    run.add_argument("--scale", choices=["quick", "full"], default="full", help="only full runs are kept")
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--only", metavar="IDS", help="with commas: T01,T20")
    run.add_argument("--part", type=int, help="this part alone, also when it was run before")
    run.add_argument("--minutes", type=float, default=float("inf"), help="begin no part after this time")
    return parser.parse_args()


def chosen(given: argparse.Namespace) -> list[Scenario]:
    ids = given.only.split(",") if given.only else sorted(SCENARIOS)
    unknown = set(ids) - SCENARIOS.keys()
    if unknown:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(sorted(SCENARIOS))}")
    return [SCENARIOS[id] for id in ids]


def parts(scenarios: list[Scenario], given: argparse.Namespace) -> Iterator[tuple[Scenario, int]]:
    """All first parts, then all second ones: what is interrupted has seen something of each."""
    if given.part is not None:
        yield from ((scenario, given.part) for scenario in scenarios)
        return
    longest = max(scenario.parts for scenario in scenarios) if given.scale == "full" else 1
    for part in range(longest):
        yield from ((scenario, part) for scenario in scenarios if part < scenario.parts)


def run(given: argparse.Namespace) -> int:
    """The number of parts that failed."""
    began = time.monotonic()
    failures = 0
    for scenario, part in parts(chosen(given), given):
        if time.monotonic() - began > given.minutes * 60:
            break
        is_done = given.scale == "full" and part in Book().row(scenario.id, given.seed, scenario.parts).done
        if is_done and given.part is None:
            continue
        result = asyncio.run(perform(scenario, given.scale, given.seed, part))
        failures += result.failure is not None
        tell(scenario, given, part, result)
        if given.scale == "full":
            keep(scenario, given.seed, part, result)
    return failures


def keep(scenario: Scenario, seed: int, part: int, result: Result) -> None:
    """Into the book and onto the page; both are read anew, since another run may write them, too."""
    book = Book()
    book.row(scenario.id, seed, scenario.parts).note(part, result)
    book.write()
    write_page(book)


def write_page(book: Book) -> None:
    PAGE.write_text(render(PAGE.read_text("utf-8"), book.rows, SCENARIOS), "utf-8")


def tell(scenario: Scenario, given: argparse.Namespace, part: int, result: Result) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(result.seen.counts.items()))
    times = [result.seen.percentile(share) for share in (0.5, 0.99, 1.0)]
    beyond = "" if times[0] is None else "; beyond the lease " + " / ".join(f"{each:.2f}" for each in times)
    print(
        f"{scenario.id} part {part} of {scenario.parts}, seed {given.seed}, {result.seconds:.1f} s: "
        f"{counts}{beyond}: {result.failure or 'held'}",
        flush=True,
    )
    if result.failure is not None:
        print(
            f"{result.traceback}\nagain: python -m tests.chaos run --scale {given.scale} "
            f"--only {scenario.id} --seed {given.seed} --part {part}",
            file=sys.stderr,
            flush=True,
        )


def main() -> None:
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # also in the background: servers end with us
    if given.command == "list":
        for id in sorted(SCENARIOS):
            print(f"{id}  {SCENARIOS[id].parts:3} parts  {SCENARIOS[id].title}")
    elif given.command == "page":
        write_page(Book())
    else:
        sys.exit(min(1, run(given)))


if __name__ == "__main__":
    main()
