"""Payloads that run code where they are unpickled."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any


class Gadget:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


def gadgets(canary: Path) -> list[bytes]:
    """Variants of one gadget: every protocol, bare and inside of what a job's blobs hold."""
    gadget = Gadget(canary)
    shapes: list[Any] = [gadget, ((), {"x": gadget}), ([gadget], {}), {"x": gadget}, [gadget], {gadget: 1}]
    return [pickle.dumps(shape, protocol) for shape in shapes for protocol in range(6)]
