"""`EnqueueCall`: a call on its way into a queue, as the queue's middleware sees and changes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aqueue._core.clock import Duration, to_ms, to_seconds
from aqueue._core.options import OPTION_NAMES, Retry, RetryPolicy
from aqueue.draft import check_arguments
from aqueue.errors import SettingsError
from aqueue.jobs import Job

#: Arguments of `Queue._enqueue`: function, args, kwargs, options and delay in milliseconds.
Parts = tuple[Callable[..., Any] | str, tuple[Any, ...], dict[str, Any], dict[str, Any], int]


@dataclass(slots=True, kw_only=True)
class EnqueueCall:
    """A call on its way into a queue. Until `call_next()` all may be changed but the queue."""

    #: Name of the queue.
    queue: str
    #: The function, or its import path.
    func: Callable[..., Any] | str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    #: The job's meta; a copy of what was given.
    meta: dict[str, Any]
    #: The other options that were given, `job_id`, `ttl`, `job_timeout` ...; see `EnqueueOptions`.
    options: dict[str, Any]
    #: Due so much later; 0: now.
    delay: Duration

    @classmethod
    def make(
        cls,
        queue: str,
        func: Callable[..., Any] | str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: Mapping[str, Any],
        delay_ms: int = 0,
    ) -> EnqueueCall:
        """The call of an `enqueue`, in copies, so that changing it changes nothing of the caller's.

        Raises:
            SettingsError: The meta is no dictionary.
        """
        options = dict(given)
        meta = options.pop("meta", None)
        if not isinstance(meta, Mapping | None):
            raise SettingsError(f"meta must be a dictionary, not {type(meta).__name__}")
        return cls(
            queue=queue,
            func=func,
            args=args,
            kwargs=dict(kwargs),
            meta=dict(meta or {}),  # pyright: ignore[reportUnknownArgumentType]
            options=options,
            delay=to_seconds(delay_ms),
        )

    @classmethod
    def of_job(cls, queue: str, job: Job[Any], at_front: bool) -> EnqueueCall:
        """The call of an `enqueue_job`.

        Raises:
            PayloadError: The job's arguments cannot be decoded here.
        """
        record = job._record
        shown = {
            "timeout": job.timeout, "ttl": job.ttl,
            "result_ttl": job.result_ttl, "failure_ttl": job.failure_ttl,
            "description": record.description, "priority": record.priority, "retry": _retry(record.retry),
            "executor": record.executor,
        }  # fmt: skip
        options = {name: value for name, value in shown.items() if name.encode() in record.fields}
        if "timeout" in options:
            options["job_timeout"] = options.pop("timeout")
        if at_front or job._at_front:
            options["at_front"] = True
        if job._durability is not None:
            options["durability"] = job._durability
        return cls.make(
            queue, job.func_name, job.args, job.kwargs, {**options, "job_id": job.id, "meta": job.meta}
        )

    def parts(self) -> Parts:
        """The call as the middleware left it.

        Raises:
            SettingsError: An unknown option, or arguments that cannot be any.
        """
        unknown = sorted(set(self.options) - OPTION_NAMES | self.options.keys() & {"meta"})
        if unknown:
            raise SettingsError(f"middleware set an unknown option {', '.join(unknown)}; meta is call.meta")
        args, kwargs = check_arguments(self.args, self.kwargs)
        options = {**self.options, "meta": self.meta}
        return self.func, args, kwargs, options, to_ms(self.delay, "delay", zero=True)


def _retry(policy: RetryPolicy) -> Retry | None:
    """The policy as users give it."""
    if not policy.max:
        return None
    return Retry(
        max=policy.max,
        interval=[to_seconds(wait) for wait in policy.waits],
        backoff=policy.backoff,
        jitter=policy.jitter,
        on=policy.on,
        not_on=policy.not_on,
        max_interval=to_seconds(policy.longest),
    )
