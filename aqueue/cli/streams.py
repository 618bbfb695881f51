"""Standard streams as the command needs them, whoever has started it."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Let what is closed lead to nowhere, or the next socket would take its place; and take any text."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: object = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, stays open
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names from Redis may have any letters
