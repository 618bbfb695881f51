"""The two ends of an execution: the `Lease` that a claim hands out, and the `Outcome` that settles it.

Each outcome has a verb of its own; a nonsense combination cannot be written.
"""

from __future__ import annotations

from dataclasses import dataclass

from aqueue._core.record import JobRecord


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run a job and to record how it ended, until Redis says that it is lost."""

    record: JobRecord
    #: Compared by every write that a runner makes.
    token: str

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.record.id


@dataclass(frozen=True, slots=True)
class Finished:
    """The function returned (finish)."""

    #: The encoded return value; None when it returned None.
    result: bytes | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The function raised, ran too long or could not be called, and there is no retry (fail)."""

    #: Class name of the exception.
    type: str
    #: Its message.
    message: str
    #: Its traceback as text, ending in `type: message`.
    traceback: str


@dataclass(frozen=True, slots=True)
class Retried:
    """The function raised and will run again (retry); uses up one retry."""

    error: Failed
    #: Milliseconds until then; 0: at once, at the end of its queue.
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Released:
    """Given back without an outcome (release); uses up no retry."""

    #: Milliseconds until it may run again; 0: at once, at the front of its queue.
    delay_ms: int = 0
    #: It was given back because its function is unknown here.
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped while it ran (stop)."""


@dataclass(frozen=True, slots=True)
class Canceled:
    """It was canceled while it ran (cancel)."""


Outcome = Finished | Failed | Retried | Released | Stopped | Canceled
