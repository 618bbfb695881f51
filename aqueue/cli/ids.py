"""Commands on jobs that are named by their ids: all are handled, then it is told what could not be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aqueue._core.names import check_job_id
from aqueue.bulk import cancel_jobs, delete_jobs, stop_jobs
from aqueue.cli.ending import FAILED, NOT_FOUND, OK, complain
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import progress, say, say_json
from aqueue.cli.text import plural, printable

#: Ids per call, so that a bar moves.
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Deed:
    """What a command does to jobs, and how it is told."""

    verb: str
    #: The bar's title.
    title: str
    #: Each word of success -> its key in JSON, and how it is said.
    words: Mapping[str, tuple[str, str]]
    #: What to do about a status that forbids it.
    hints: Mapping[str, str] = field(default_factory=dict[str, str])


REQUEUE = Deed("requeue", "requeuing", {"ok": ("requeued", "requeued")})
CANCEL = Deed(
    "cancel", "canceling", {"ok": ("canceled", "canceled"), "asked": ("asked", "running and asked to end")}
)
STOP = Deed("stop", "stopping", {"asked": ("asked", "asked to stop")})
DELETE = Deed("delete", "deleting", {"ok": ("deleted", "deleted")}, {"started": "stop it first"})

#: Ids -> a word for each: one of the deed's, "missing", or the status that forbids it.
Act = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]


@dataclass(slots=True)
class Report:
    """What became of the ids."""

    deed: Deed
    #: How many got each of the deed's words.
    counts: dict[str, int] = field(default_factory=dict[str, int])
    #: Ids without a job.
    not_found: list[str] = field(default_factory=list[str])
    #: id -> the status that forbids it.
    refused: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, words: Mapping[str, str]) -> None:
        """Count what became of some of them."""
        for job_id, word in words.items():
            if word in self.deed.words:
                self.counts[word] = self.counts.get(word, 0) + 1
            elif word == "missing":
                self.not_found.append(job_id)
            else:
                self.refused[job_id] = word

    def tell(self, *, as_json: bool, where: str = "") -> int:
        """Print it; the exit code. `where` is said of ids that were not found."""
        if as_json:
            counts = {key: self.counts.get(word, 0) for word, (key, _) in self.deed.words.items()}
            say_json({**counts, "not_found": self.not_found, "refused": self.refused})
        else:
            say(self._summary)
        for job_id in self.not_found:
            complain(f"no job {job_id}{where}: never enqueued here, deleted, or past its time")
        for job_id, status in self.refused.items():
            hint = f"; {self.deed.hints[status]}" if status in self.deed.hints else ""
            complain(f"cannot {self.deed.verb} job {job_id}: it is {printable(status)}{hint}")
        if self.not_found:
            return NOT_FOUND
        return FAILED if self.refused else OK

    @property
    def _summary(self) -> str:
        said = [
            f"{plural(self.counts.get(word, 0), 'job')} {text}"
            for number, (word, (_, text)) in enumerate(self.deed.words.items())
            if number == 0 or self.counts.get(word)
        ]
        return ", ".join(said)


async def handle(deed: Deed, ids: Sequence[str], act: Act) -> Report:
    """Do it to all of them, in batches."""
    distinct = list(dict.fromkeys(map(check_job_id, ids)))
    report = Report(deed)
    with progress(deed.title, len(distinct)) as advance:
        for start in range(0, len(distinct), _BATCH):
            batch = distinct[start : start + _BATCH]
            report.add(await act(batch))
            advance(len(batch))
    return report


async def end_jobs(deed: Deed, ids: Sequence[str], target: Target, *, as_json: bool) -> int:
    """Cancel, stop or delete jobs; the exit code."""
    act = {"cancel": cancel_jobs, "stop": stop_jobs, "delete": delete_jobs}[deed.verb]
    for job_id in ids:
        check_job_id(job_id)  # before Redis is asked
    with logging_to_stderr():
        await target.check()
        report = await handle(deed, ids, lambda batch: act(batch, target.url, namespace=target.namespace))
    return report.tell(as_json=as_json)
