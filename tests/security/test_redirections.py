"""Where else a server says to go is text: it is shown when it can be an address, and never followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import AskError, MovedError, ResponseError

from aqueue import Queue
from aqueue._redis.faults import address_of, describe
from aqueue.sync import Queue as SyncQueue


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("5 10.0.0.7:6379", "10.0.0.7:6379"),
        ("5 redis-7.example.com:6379", "redis-7.example.com:6379"),
        ("5 2001:db8::7:6379", "[2001:db8::7]:6379"),
        ("5 :6379", ""),
        ("5 ?:6379", ""),
        ("5 a\x1b[2J:6379", ""),
        ("5 user@host:6379", ""),
        ("5 -oProxyCommand=x:6379", ""),
        (f"5 {'a' * 300}:6379", ""),
        ("5 10.0.0.7:-1", ""),
        ("5 10.0.0.7:70000", ""),
    ],
)
def test_only_what_can_be_an_address_is_shown(said: str, where: str) -> None:
    shown = where or "another node"

    assert address_of(MovedError(said)) == where
    assert describe(MovedError(said)) == f"{shown} of the cluster has slot 5 (MOVED)"
    assert describe(AskError(said)) == f"slot 5 is being moved to {shown} (ASK)"


@pytest.fixture(params=["MOVED", "MOVED nowhere", "MOVED 5 nowhere", "ASK x y:z"])
async def liar(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a server that answers each command with this error."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request_ := await reader.read(65_536):
            writer.write(f"-{request.param}\r\n".encode() * request_.count(b"*"))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_a_redirection_that_cannot_be_read_is_an_error_as_any_other(liar: str) -> None:
    async with Queue(connection=liar) as queue:
        with pytest.raises(ResponseError, match=r"^(MOVED|ASK)"):
            await queue.count()
    with SyncQueue(connection=liar) as other, pytest.raises(ResponseError, match=r"^(MOVED|ASK)"):
        await asyncio.to_thread(other.count)
