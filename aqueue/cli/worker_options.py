"""The options of `aqueue worker`: how each is typed, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from typer import Argument, Option

from aqueue.cli.options import Target

Queues: TypeAlias = Annotated[
    list[str] | None, Argument(metavar="QUEUES", help="Served strictly in this order. Default: default.")
]
Burst: TypeAlias = Annotated[bool, Option("--burst", "-b", help="End when no job waits.")]
Concurrency: TypeAlias = Annotated[
    int, Option("--concurrency", "-c", metavar="N", help="Jobs at the same time.")
]
Name: TypeAlias = Annotated[str | None, Option("--name", "-n", metavar="NAME", help="A label for people.")]
Lease: TypeAlias = Annotated[
    str, Option(metavar="TIME", help="After so long without a sign of life, its jobs go to others.")
]
Grace: TypeAlias = Annotated[
    str, Option(metavar="TIME", help="After SIGTERM or Ctrl-C, running jobs may go on so long.")
]
Executor: TypeAlias = Annotated[
    Literal["process", "thread"] | None,
    Option(help="Where jobs run that say nothing: process: each in a child process."),
]
MaxChildren: TypeAlias = Annotated[
    int | None, Option(metavar="N", help="Child processes at the same time. Default: one per processor.")
]
MaxZombies: TypeAlias = Annotated[
    int | None,
    Option(metavar="N", help="End when more jobs were given up but run on. Default: half of --concurrency."),
]
OnUnsure: TypeAlias = Annotated[
    Literal["continue", "cancel"],
    Option(metavar="WHAT", help="With jobs when Redis is away for a whole lease: continue or cancel."),
]
MaxStall: TypeAlias = Annotated[
    str,
    Option(metavar="TIME", help="End with 75 when a job blocks the event loop so long; others run the jobs."),
]
MaxRss: TypeAlias = Annotated[
    str | None,
    Option(metavar="SIZE", help="With more memory than this, like 512M, finish what runs and end with 75."),
]
MaxJobs: TypeAlias = Annotated[int | None, Option(metavar="N", help="End after so many jobs.")]
MaxIdleTime: TypeAlias = Annotated[
    str | None, Option(metavar="TIME", help="End after so long without a job.")
]
Paths: TypeAlias = Annotated[
    list[str] | None,
    Option(
        "--path", "-P", metavar="FOLDER", help="Import modules from here first. Default: the current folder."
    ),
]
Lifespan: TypeAlias = Annotated[
    str | None,
    Option(metavar="MODULE:NAME", help="Opens what the jobs share; see Worker(lifespan=...)."),
]
Middleware: TypeAlias = Annotated[
    list[str] | None,
    Option(metavar="MODULE:NAME", help="Around each job; may be repeated, the first is the outermost."),
]
Allow: TypeAlias = Annotated[
    list[str] | None,
    Option(metavar="MODULE", help="Run only functions that MODULE defines, and decorated ones; repeatable."),
]
SerializerName: TypeAlias = Annotated[
    str | None,
    Option(
        envvar="AQUEUE_SERIALIZER",
        metavar="NAME",
        help="pickle, json or MODULE:NAME, as the producers have it. Default: pickle.",
    ),
]
TrustRedis: TypeAlias = Annotated[
    bool, Option("--trust-redis", help="Run whatever is found on a Redis that is not on this machine.")
]
#: auto: uvloop where it is installed, else asyncio's own.
LoopName: TypeAlias = Literal["auto", "asyncio", "uvloop"]
Loop: TypeAlias = Annotated[
    LoopName,
    Option(
        envvar="AQUEUE_LOOP",
        metavar="NAME",
        help="The event loop: asyncio or uvloop. Default auto: uvloop where it is installed.",
    ),
]
Verbose: TypeAlias = Annotated[bool, Option("--verbose", "-v", help="Log each start of a job, too.")]
Quiet: TypeAlias = Annotated[bool, Option("--quiet", "-q", help="Log only warnings and errors.")]

Processes: TypeAlias = Annotated[
    int | None,
    Option(
        metavar="N", help="Run so many worker processes, and replace what dies. Each runs --concurrency jobs."
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerOptions:
    """The options of the command; durations as they were typed."""

    queues: Sequence[str]
    target: Target
    burst: bool
    concurrency: int
    name: str | None
    lease: str
    grace: str
    executor: Literal["process", "thread"] | None
    max_children: int | None
    max_zombies: int | None
    on_unsure: Literal["continue", "cancel"]
    max_stall: str
    max_rss: str | None
    max_jobs: int | None
    max_idle_time: str | None
    paths: Sequence[str]
    lifespan: str | None
    middleware: Sequence[str]
    allow: Sequence[str] | None
    serializer: str | None
    trust_redis: bool
    loop: LoopName
    verbose: bool
    quiet: bool
