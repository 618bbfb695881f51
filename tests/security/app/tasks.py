"""Functions that may run, and much else that the module holds and that may not."""

from __future__ import annotations

import builtins
import functools
import os
import subprocess
from collections.abc import Callable
from shutil import rmtree
from subprocess import run
from typing import Any

from aqueue import job
from tests.tasks import add
from tests.tasks import add as plus

IMPORTED = (builtins, os, subprocess, rmtree, run, add, plus)


def double(n: int) -> int:
    return 2 * n


async def triple(n: int) -> int:
    return 3 * n


def _private(n: int) -> int:  # pyright: ignore[reportUnusedFunction]
    return 4 * n


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return call


@logged
def wrapped(n: int) -> int:
    return 5 * n


@functools.lru_cache
def cached(n: int) -> int:
    return 6 * n


@job("default")
def decorated(n: int) -> int:
    return 7 * n


class Shell:
    """Neither it nor its methods may run."""

    def __call__(self, command: str) -> None:
        raise AssertionError(command)

    @staticmethod
    def of(command: str) -> None:
        raise AssertionError(command)


shell = Shell()
partial = functools.partial(double, 5)
renamed = double
nothing = None


def make() -> Callable[..., Any]:
    def inner() -> None: ...

    return inner


nested = make()
