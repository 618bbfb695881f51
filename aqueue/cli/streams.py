"""Standard streams for a program that was started without: the next socket would take their place."""

from __future__ import annotations

import os
import sys


def open_missing() -> None:
    """Let what is closed of standard input, output and error lead to nowhere."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, stays open
