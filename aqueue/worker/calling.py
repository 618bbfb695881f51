"""What surrounds the call of a job's function: find it, decode its arguments, encode what it returned.

The same in the worker and in its child processes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aqueue._core.codec import Codec
from aqueue._core.failure import describe_exception
from aqueue._core.functions import is_coroutine_function
from aqueue._core.outcome import Failed, Finished
from aqueue._core.record import JobRecord
from aqueue.errors import PayloadError

#: A function, whether it is a coroutine function, and its arguments.
Call = tuple[Callable[..., Any], bool, tuple[Any, ...], dict[str, Any]]

_NOTHING = Finished(None)


class Calls:
    """Turns records into calls; knows the functions that it has found before."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._functions: dict[str, tuple[Callable[..., Any], bool]] = {}

    def prepare(self, record: JobRecord) -> Call:
        """The call that a record asks for; imports the function's module.

        Raises:
            UnknownFunction: The function does not exist here.
            PayloadError: The arguments cannot be decoded.
            BaseException: Whatever the module raises while it is imported.
        """
        function, is_async = self._find(record.function)
        args, kwargs = self._codec.decode_call(record)
        return function, is_async, args, kwargs

    def _find(self, path: str) -> tuple[Callable[..., Any], bool]:
        found = self._functions.get(path)
        if found is None:
            function = self._codec.find_function(path)
            found = self._functions[path] = function, is_coroutine_function(function)
        return found

    def finished(self, record: JobRecord, value: Any) -> Finished | Failed:
        """The outcome of a return; failed when the value cannot be stored."""
        if value is None:
            return _NOTHING
        try:
            return Finished(self._codec.encode_result(record, value))
        except PayloadError as error:
            return describe_exception(error)
