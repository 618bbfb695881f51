"""What the log says of a job that ended: which job, what happened, what comes next; in one line."""

from __future__ import annotations

import logging

from aqueue._core.logs import get_logger
from aqueue._core.outcome import Failed, Finished, Lease, Outcome, Released, Retried

logger: logging.Logger = get_logger("aqueue.worker")


def report(lease: Lease, outcome: Outcome, word: str) -> None:
    """Log an outcome and Redis' word for it."""
    job_id = lease.job_id
    if word == "lost":
        logger.warning("job %s: the lease was lost, so its outcome is dropped", job_id)
        return
    if word != "ok":
        logger.info("job %s %s: it was asked to end", job_id, word)
        return
    match outcome:
        case Finished():
            if logger.isEnabledFor(logging.INFO):
                logger.info("job %s finished", job_id)
        case Failed(kind, message):
            logger.warning("job %s failed: %s: %s", job_id, kind, ascii(message))
        case Retried(Failed(kind, message), delay_ms):
            logger.warning(
                "job %s raised %s: %s; next in %g s", job_id, kind, ascii(message), delay_ms / 1000
            )
        case Released(delay_ms, unknown=True):
            path = ascii(lease.record.function)
            logger.warning("job %s: no %s here; other workers may try in %g s", job_id, path, delay_ms / 1000)
        case Released():
            logger.info("job %s given back to its queue", job_id)
        case _:
            logger.info("job %s %s", job_id, type(outcome).__name__.lower())
