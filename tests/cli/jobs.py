"""Jobs that the tests of the commands enqueue."""

from __future__ import annotations

import logging
import time


def fail() -> None:
    raise ValueError("it is broken")


def block(seconds: float) -> None:
    time.sleep(seconds)


def log(message: str) -> None:
    logging.getLogger("app").info("%s", message)
