"""Two operations as one step of the server."""

from __future__ import annotations

from typing import Any, TypeVar

from aqueue._redis.operations import Lookup, Operation

T = TypeVar("T")
U = TypeVar("U")


def together(first: Operation[T], second: Operation[U]) -> Lookup[tuple[T, U]]:
    """Run two scripts with nothing between them; as safe to repeat as each of them is.

    The texts travel along: inside a transaction it would be too late to load one.
    """
    scripts = [("SCRIPT", "LOAD", operation.script.text) for operation in (first, second)]
    calls = [
        ("EVALSHA", operation.script.sha, len(operation.keys), *operation.keys, *operation.args)
        for operation in (first, second)
    ]

    def decode(replies: list[Any]) -> tuple[T, U]:
        for reply in replies[-1]:
            if isinstance(reply, Exception):
                raise reply
        return first.decode(replies[-1][0]), second.decode(replies[-1][1])

    return Lookup([*scripts, ("MULTI",), *calls, ("EXEC",)], decode)
