"""Which event loop a worker runs on."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeAlias

from aqueue.cli.worker_options import LoopName
from aqueue.errors import SettingsError

Loops: TypeAlias = Callable[[], asyncio.AbstractEventLoop]


def loops(name: LoopName) -> Loops | None:
    """What makes the loop; None: asyncio itself.

    Raises:
        SettingsError: uvloop was asked for and is not installed.
    """
    if name == "asyncio" or (name == "auto" and find_spec("uvloop") is None):
        return None
    try:
        made: Loops = importlib.import_module("uvloop").new_event_loop
    except ImportError as error:
        raise SettingsError(
            f"--loop {name}: uvloop cannot be imported ({error}): pip install 'aqueue[uvloop]'"
        ) from error
    return made
