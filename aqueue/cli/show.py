"""`aqueue show`: one job whole."""

from __future__ import annotations

from typing import Any

from aqueue._core.names import check_job_id
from aqueue.cli.ending import OK
from aqueue.cli.job_facts import WHOLE_TEXT, age, cut, whole_facts
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import say, say_json
from aqueue.cli.overview import aligned
from aqueue.cli.text import printable, shown_when
from aqueue.errors import AqueueError
from aqueue.inspection import inspect_job
from aqueue.jobs import Job

_INSTANTS = ("created_at", "enqueued_at", "due_at", "started_at", "lease_until", "ended_at", "removed_at")
_DURATIONS = ("timeout", "ttl", "result_ttl", "failure_ttl")
_SIZES = ("arguments_bytes", "meta_bytes", "result_bytes")
#: Worth a line only when they are not 0.
_RARE = ("priority", "incarnation", "lost_leases", "releases")
#: What `--decode` adds.
CARRIED = ("args", "kwargs", "meta", "result")


async def show(job_id: str, target: Target, *, decode: bool, as_json: bool) -> int:
    """Show it; the exit code."""
    check_job_id(job_id)
    with logging_to_stderr():
        await target.check()
        found = await inspect_job(job_id, target.url, namespace=target.namespace)
        facts = whole_facts(found)
        if decode:
            facts |= _decoded(await Job.fetch(job_id, target.url, namespace=target.namespace))
    if as_json:
        say_json(facts)
    else:
        say(_text(facts, found.now_ms))
    return OK


def _decoded(job: Job[Any]) -> dict[str, str]:
    """What the job carries, each as its `repr`, or why it cannot be decoded."""
    return {name: _shown(job, name) for name in CARRIED}


def _shown(job: Job[Any], name: str) -> str:
    try:
        return cut(repr(getattr(job, name)), WHOLE_TEXT)
    except AqueueError as error:
        return cut(f"({error})", WHOLE_TEXT)
    except Exception as error:  # of the value's own repr
        return f"({type(error).__name__} while it was shown)"


def _text(facts: dict[str, Any], now_ms: int) -> str:
    told = [name for name in facts if name not in ("error", "earlier")]
    pairs = [[name.replace("_", " "), _value(name, facts[name], now_ms)] for name in told]
    blocks = [aligned([pair for pair in pairs if pair[1]])]
    if facts["error"]:
        error = facts["error"]
        blocks.append(_indented("error", error.get("traceback") or f"{error['type']}: {error['message']}"))
    if facts["earlier"] is None:
        blocks.append("earlier executions: their record is damaged")
    elif facts["earlier"]:
        lines = "\n".join(_execution(past, now_ms) for past in facts["earlier"])
        blocks.append(_indented("earlier executions, the last one first", lines))
    return "\n\n".join(blocks)


def _value(name: str, value: Any, now_ms: int) -> str:
    """A fact as text, "" for what need not be told."""
    if value is None or (name in _RARE and not value):
        return ""
    if name in _INSTANTS:
        return _instant(value, now_ms)
    if name in _DURATIONS:
        return "no limit" if value == -1 else f"{value:,} s"
    if name in _SIZES:
        return f"{value:,}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def _instant(text: str, now_ms: int) -> str:
    return f"{text[:19].replace('T', ' ')} UTC, {shown_when(age(text, now_ms))}"


def _execution(past: dict[str, Any], now_ms: int) -> str:
    ended: str = _instant(past["ended_at"], now_ms) if past["ended_at"] else "?"
    error = past["error"]
    why = f": {error['type']}: {error['message']}".partition("\n")[0] if error else ""
    return f"{past['status']} {ended}, by {past['worker_name']}{why}"


def _indented(title: str, text: str) -> str:
    lines = printable(text.rstrip(), keep="\n\t").splitlines()
    return "\n".join([title, *(f"  {line}" for line in lines)])
