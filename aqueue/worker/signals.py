"""SIGTERM and SIGINT for the time of one `work()`, and the handlers that were there before, afterwards."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def restored_signals(handle: Callable[[int], None] | None) -> Generator[None]:
    """Call `handle` in the loop for each signal. Off the main thread nothing is installed."""
    if handle is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    found = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in SIGNALS:
            loop.add_signal_handler(number, handle, number)
        yield
    finally:
        for number, handler in found.items():
            loop.remove_signal_handler(number)
            if handler is not None:  # None: it was not installed from Python
                signal.signal(number, handler)
