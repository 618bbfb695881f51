"""A producer or a worker of one peer: `python -m tests.benchmarks.program saq fill 10000`.

Producers print one line of JSON; a worker runs until it is killed. It runs in the peer's own environment, so
it imports nothing but the standard library and the adapter.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import traceback

from tests.benchmarks.adapter import Adapter
from tests.benchmarks.producing import MEASURES


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("command", choices=[*MEASURES, "work"])
    parser.add_argument("count", type=int, nargs="?", default=0)
    parser.add_argument("--job", default="noop")
    parser.add_argument("--delay", type=float)
    parser.add_argument("--setting", default="10")
    given = parser.parse_args()
    adapter: Adapter = importlib.import_module(f"tests.benchmarks.peers.{given.peer}").ADAPTER
    if given.command == "work":
        adapter.work(given.setting)
        return

    asyncio.run(produce(adapter, given))


async def produce(adapter: Adapter, given: argparse.Namespace) -> None:
    """Measure, and leave without the client's orderly end, which is part of no figure and may hang."""
    try:
        await adapter.open()
        numbers = await MEASURES[given.command](adapter, given.count, job=given.job, delay=given.delay)
        print(json.dumps(numbers), flush=True)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


if __name__ == "__main__":
    main()
