"""What the drivers run: a call of a script, or reads without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aqueue._core.durability import LOCAL
from aqueue._redis.scripts import Argument, Script

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of a script."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Argument]
    decode: Callable[[Any], T]
    #: Who must have what it writes before it counts as done.
    durability: str = LOCAL


@dataclass(frozen=True, slots=True)
class Lookup(Generic[T]):
    """Reads that travel in one pipeline; `decode` gets their replies as a list."""

    commands: Sequence[tuple[Argument, ...]]
    decode: Callable[[list[Any]], T]
