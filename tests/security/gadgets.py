"""Payloads that run code where they are unpickled."""

from __future__ import annotations

import functools
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any


class Gadget:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


class _Other:
    """Does it by another call."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        function, *args = self.call
        return function, tuple(args)


def _kinds(canary: Path) -> list[Any]:
    """One gadget for each way to the same end."""
    code = f"__import__('os').mkdir({str(canary)!r})"
    return [
        Gadget(canary),
        _Other(eval, code),
        _Other(exec, code),
        _Other(subprocess.call, ["mkdir", str(canary)]),
        _Other(functools.reduce, os.mkdir, [str(canary), 0o777]),
    ]


def gadgets(canary: Path) -> list[bytes]:
    """Every protocol, bare and inside of what a job's blobs hold, and some by hand."""
    gadget, *others = _kinds(canary)
    shapes: list[Any] = [gadget, ((), {"x": gadget}), ([gadget], {}), {"x": gadget}, [gadget], {gadget: 1}]
    for other in others:
        shapes += [other, [other], {"args": [other], "kwargs": {}}]
    pickled = [pickle.dumps(shape, protocol) for shape in shapes for protocol in range(6)]
    path = str(canary).encode()
    return [
        *pickled,
        b"cos\nmkdir\n(V" + path + b"\ntR.",  # GLOBAL, REDUCE
        b"(V" + path + b"\nios\nmkdir\n.",  # INST
        b"(cos\nmkdir\nV" + path + b"\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c" + bytes([len(path)]) + path + b"\x85R.",  # STACK_GLOBAL
    ]
