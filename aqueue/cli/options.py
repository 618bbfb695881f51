"""Options that several commands share, and the Redis that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

#: Seconds of trying to reach Redis at the start of a command.
PATIENCE = 2.0

Url: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--url",
        "-u",
        envvar="AQUEUE_URL",
        metavar="URL",
        help="Redis: redis://, rediss://, unix:// or embedded://. Default: redis://localhost:6379/0.",
    ),
]
NamespaceName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        envvar="AQUEUE_NAMESPACE",
        metavar="NAME",
        help="Whose queues and workers. Default: aqueue.",
    ),
]
JobIds: TypeAlias = Annotated[list[str], typer.Argument(metavar="IDS", help="Ids of jobs.")]
QueueNames: TypeAlias = Annotated[list[str], typer.Argument(metavar="QUEUES", help="Names of queues.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True)
class Target:
    """Which Redis and which namespace a command works on."""

    url: str | None
    namespace: str | None

    async def check(self) -> None:
        """Fail soon when Redis cannot be reached.

        Raises:
            SettingsError: A URL or namespace that cannot be used.
            QueueUnavailable: Redis does not answer, refuses us, or is the wrong node of a cluster.
        """
        from aqueue.cli.logs import muted_logs
        from aqueue.connection import open_namespace

        space = open_namespace(self.url, namespace=self.namespace)
        client = space.connector.client()
        with muted_logs():
            await client.ping(patience=PATIENCE)
            await client.check_node(space.keys, patience=PATIENCE)
