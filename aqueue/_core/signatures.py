"""What the overloads of enqueue and its like are written with."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ParamSpec, Required, TypeAlias, TypeVar, TypeVarTuple

from aqueue._core.clock import Duration
from aqueue._core.options import EnqueueOptions

#: The parameters of a function whose arguments are all its own.
P = ParamSpec("P")
#: The arguments of a function that stand beside options: no keyword arguments of its own then.
Ts = TypeVarTuple("Ts")
#: What its job results in.
R = TypeVar("R")

#: What a coroutine function returns.
Coro: TypeAlias = Coroutine[Any, Any, R]


class CallByArgs(EnqueueOptions, total=False):
    """RQ's form `enqueue(f, args=(1,), kwargs={"b": 2}, ttl=5)`, whose arguments are not checked."""

    args: Required[Iterable[Any]]
    kwargs: Mapping[str, Any] | None


class CallByKwargs(EnqueueOptions, total=False):
    """The same without positional arguments."""

    kwargs: Required[Mapping[str, Any]]


class PrepareOptions(EnqueueOptions, total=False):
    """The options of `Queue.prepare_data`, with RQ's name for job_timeout."""

    timeout: Duration | None
