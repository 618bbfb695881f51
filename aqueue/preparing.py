"""`Preparing`: calls for `enqueue_many`, made without Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack, overload

from aqueue._core.decorated import with_defaults
from aqueue._core.options import check_known
from aqueue._core.signatures import PrepareOptions, Ts
from aqueue.batch import EnqueueData
from aqueue.draft import check_arguments


class Preparing:
    """The part of a queue that needs neither a name nor a connection."""

    @overload
    @staticmethod
    def prepare_data(func: Callable[[], Any] | str, **options: Unpack[PrepareOptions]) -> EnqueueData: ...
    @overload
    @staticmethod
    def prepare_data(
        func: Callable[[*Ts], Any], args: tuple[*Ts], **options: Unpack[PrepareOptions]
    ) -> EnqueueData: ...
    @overload
    @staticmethod
    def prepare_data(
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        *,
        kwargs: Mapping[str, Any],
        **options: Unpack[PrepareOptions],
    ) -> EnqueueData: ...
    @overload
    @staticmethod
    def prepare_data(
        func: Callable[..., Any],
        args: Iterable[Any],
        kwargs: Mapping[str, Any],
        **options: Unpack[PrepareOptions],
    ) -> EnqueueData: ...
    @overload
    @staticmethod
    def prepare_data(
        func: str,
        args: Iterable[Any],
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[PrepareOptions],
    ) -> EnqueueData: ...
    @staticmethod
    def prepare_data(
        func: Callable[..., Any] | str,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> EnqueueData:
        """A call for `enqueue_many`, with the options of `enqueue`; `timeout` is `job_timeout`, as in RQ.

        Raises:
            SettingsError: An unknown option.
        """
        if "timeout" in options:
            options["job_timeout"] = options.pop("timeout")
        check_known(options)
        return EnqueueData(func, *check_arguments(args, kwargs), with_defaults(func, options))
