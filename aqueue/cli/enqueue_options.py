"""The options of `aqueue enqueue`: how each is typed, and all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from typer import Argument, Option

from aqueue.cli.options import Target

Function: TypeAlias = Annotated[
    str, Argument(metavar="FUNCTION", help="Its import path, like tasks.count_words.")
]
Arguments: TypeAlias = Annotated[
    list[str] | None,
    Argument(
        metavar="ARGS", help="text, :JSON, %literal, key=text, key:=JSON, key%=literal; @FILE reads one."
    ),
]
QueueName: TypeAlias = Annotated[str, Option("--queue", "-q", metavar="QUEUE", help="Where to.")]
JobTimeout: TypeAlias = Annotated[
    str | None, Option("--timeout", metavar="TIME", help="It may run so long; -1: no limit. Default: 3m.")
]
ResultTtl: TypeAlias = Annotated[
    str | None, Option("--result-ttl", metavar="TIME", help="Keep it so long once finished; -1: for ever.")
]
Ttl: TypeAlias = Annotated[
    str | None, Option("--ttl", metavar="TIME", help="It expires unless it is started within this time.")
]
FailureTtl: TypeAlias = Annotated[
    str | None, Option("--failure-ttl", metavar="TIME", help="Keep it so long once failed; -1: for ever.")
]
Description: TypeAlias = Annotated[str | None, Option(metavar="TEXT", help="What people are shown.")]
JobId: TypeAlias = Annotated[str | None, Option("--job-id", metavar="ID", help="Its id. Default: a new one.")]
AtFront: TypeAlias = Annotated[bool, Option("--at-front", help="Before all of its priority.")]
Priority: TypeAlias = Annotated[int, Option(metavar="N", help="-100 to 100, higher first.")]
RetryMax: TypeAlias = Annotated[
    int, Option("--retry-max", metavar="N", help="After a failure it runs again, up to so many times.")
]
RetryInterval: TypeAlias = Annotated[
    list[str] | None,
    Option("--retry-interval", metavar="TIME", help="The wait before a retry; several: one after the other."),
]
In: TypeAlias = Annotated[
    str | None, Option("--in", "--schedule-in", metavar="TIME", help="It becomes due after so long.")
]
At: TypeAlias = Annotated[
    str | None,
    Option(
        "--at",
        "--schedule-at",
        metavar="WHEN",
        help="It becomes due then, like 2026-12-01T09:00; local time.",
    ),
]
Executor: TypeAlias = Annotated[
    Literal["process", "thread"] | None,
    Option(metavar="KIND", help="process: in a child process, which can be killed; thread: not."),
]
Wait: TypeAlias = Annotated[bool, Option("--wait", help="Wait for its end, and print what it returned.")]
Paths: TypeAlias = Annotated[
    list[str] | None,
    Option("--path", "-P", metavar="FOLDER", help="Look for the function here first, and import it to see."),
]
SerializerName: TypeAlias = Annotated[
    str | None,
    Option(
        envvar="AQUEUE_SERIALIZER",
        metavar="NAME",
        help="pickle, json or MODULE:NAME, as the workers have it. Default: pickle.",
    ),
]
TrustRedis: TypeAlias = Annotated[
    bool, Option("--trust-redis", help="Use a Redis that is not on this machine without a signing key.")
]
DependsOn: TypeAlias = Annotated[list[str] | None, Option("--depends-on", hidden=True)]


@dataclass(frozen=True, kw_only=True, slots=True)
class EnqueueOptions:
    """The options of the command; times and arguments as they were typed."""

    function: str
    arguments: Sequence[str]
    target: Target
    queue: str
    job_id: str | None
    #: The other options of `Queue.enqueue`, but for the retries.
    job: Mapping[str, Any]
    retry_max: int
    retry_intervals: Sequence[str]
    delay: str | None
    when: str | None
    serializer: str | None
    trust_redis: bool
    wait: bool
    paths: Sequence[str]
    depends_on: Sequence[str]
    as_json: bool
