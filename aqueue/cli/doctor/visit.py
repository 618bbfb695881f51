"""Ask, judge and tell."""

from __future__ import annotations

import dataclasses

from aqueue.cli.doctor.finding import Finding, Level
from aqueue.cli.doctor.namespace import judge_namespace
from aqueue.cli.doctor.server import judge_server
from aqueue.cli.doctor.trust import judge_trust
from aqueue.cli.ending import FAILED, OK
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import colored, say, say_json
from aqueue.cli.text import plural, printable
from aqueue.connection import ServerError, open_namespace
from aqueue.errors import QueueUnavailable
from aqueue.health import namespace_facts, server_facts

_COLORS: dict[Level, str] = {"ok": "32", "advice": "33", "problem": "31", "unknown": "2"}


async def visit(target: Target, *, as_json: bool) -> int:
    """Look at everything; the exit code."""
    with logging_to_stderr():
        await target.check()
        space = open_namespace(target.url, namespace=target.namespace)
        server = await server_facts(target.url, namespace=target.namespace)
        findings = [
            *judge_server(server),
            judge_trust(space),
            *await _namespace(target),
        ]
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        say_json({"problems": problems, "checks": [dataclasses.asdict(finding) for finding in findings]})
    else:
        say("\n".join(map(_text, findings)))
        advice = sum(finding.level == "advice" for finding in findings)
        say(f"\n{plural(problems, 'problem')}, {plural(advice, 'piece')} of advice")
    return FAILED if problems else OK


async def _namespace(target: Target) -> list[Finding]:
    """What is wrong with the namespace, unless it cannot be read: then it was said why."""
    try:
        return list(judge_namespace(await namespace_facts(target.url, namespace=target.namespace)))
    except ServerError as error:
        return [Finding("unknown", "queues", f"not checked: {error}")]
    except QueueUnavailable as error:
        if not error.refused:
            raise
        return [Finding("unknown", "queues", f"not checked: {error}")]


def _text(finding: Finding) -> str:
    level = colored(f"{finding.level:<8}", _COLORS[finding.level])
    lines = [f"{level} {finding.check:<12} {printable(finding.seen)}"]
    if finding.why:
        lines += [f"{'':22}why: {printable(finding.why)}", f"{'':22}change: {printable(finding.change)}"]
    return "\n".join(lines)
