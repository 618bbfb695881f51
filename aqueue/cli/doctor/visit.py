"""Ask, judge and tell."""

from __future__ import annotations

import dataclasses

from aqueue.cli.doctor.data import NEEDED, damages, judge_data, look_through
from aqueue.cli.doctor.finding import Finding
from aqueue.cli.doctor.namespace import judge_namespace
from aqueue.cli.doctor.server import judge_server
from aqueue.cli.doctor.showing import shown
from aqueue.cli.doctor.trust import judge_trust
from aqueue.cli.ending import FAILED, OK
from aqueue.cli.logs import logging_to_stderr
from aqueue.cli.options import Target
from aqueue.cli.output import say, say_json
from aqueue.cli.text import plural
from aqueue.connection import ServerError, open_namespace
from aqueue.errors import QueueUnavailable, SettingsError
from aqueue.health import namespace_facts, server_facts
from aqueue.mending import Examination


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
        seen, judged = await _data(target)
    findings += judged
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        checks = [dataclasses.asdict(finding) for finding in findings]
        say_json({"problems": problems, "checks": checks, "damage": damages(seen)})
    else:
        say("\n".join(map(shown, findings)))
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


async def _data(target: Target) -> tuple[Examination, list[Finding]]:
    """What is damaged, unless the data cannot be read, or not by this version."""
    try:
        seen = await look_through(target, repair=False)
    except SettingsError as error:
        why, change = "this version could only spoil it", "use the newer version"
        return Examination(), [Finding("problem", "data", str(error), why, change)]
    except ServerError as error:
        return Examination(), [Finding("unknown", "data", f"not checked: {error}")]
    except QueueUnavailable as error:
        if not error.refused:
            raise
        rights = f"besides what workers may do it takes {NEEDED}"
        return Examination(), [Finding("unknown", "data", f"not checked: {error}; {rights}")]
    return seen, list(judge_data(seen, repair=False))
