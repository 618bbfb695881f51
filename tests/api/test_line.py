"""A connection that breaks one way ends whole: each call is told, and no reply goes to another's caller."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.exceptions as redis_errors

from aqueue import Queue
from aqueue._redis import line
from aqueue._redis.client import pack
from aqueue._redis.line import Line, Switchboard
from aqueue._redis.operations import Lookup
from aqueue._redis.source import from_url
from tests.api import jobs
from tests.api.proxy import Proxy
from tests.support import wait_until


@pytest.fixture
async def proxy(url: str) -> AsyncIterator[Proxy]:
    async with Proxy(url) as opened:
        yield opened


@pytest.fixture
async def board(proxy: Proxy) -> AsyncIterator[Switchboard]:
    opened = Switchboard(from_url(proxy.url))
    yield opened
    await opened.aclose()


def _echo(open_line: Line, text: str) -> asyncio.Future[list[Any]]:
    return open_line.send(pack(("PING", text)), 1)


def _break(open_line: Line | None) -> None:
    """Close the way out of the socket: what is written from now on raises, and what was sent is answered."""
    assert open_line is not None
    open_line._transport.write_eof()


async def test_a_call_that_cannot_be_sent_ends_the_line_for_all(board: Switchboard) -> None:
    first_line = await board.open()
    first = _echo(first_line, "first")
    _break(first_line)

    second = _echo(first_line, "second")

    assert not first_line.is_open
    for answer in (first, second):
        with pytest.raises(redis_errors.ConnectionError, match="cannot send"):
            await answer
    assert board.line is None
    assert await _echo(await board.open(), "third") == [b"third"]


async def test_a_program_notices_nothing_of_a_call_that_cannot_be_sent(queue: Queue) -> None:
    await queue.enqueue(jobs.nothing, job_id="a")
    client: Any = queue.space.client
    _break(client._calls.line)
    await queue.enqueue(jobs.nothing, job_id="b")
    assert await queue.get_job_ids() == ["a", "b"]

    await queue.fetch_job("a")
    _break(client._reads.line)
    assert await queue.fetch_job("b") is not None


async def test_a_server_that_sends_no_more_is_waited_for_no_longer(
    proxy: Proxy, board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "DEADLINE", 3600)
    opened = await board.open()
    proxy.requests.is_silent = True
    answers = [_echo(opened, "x" * 8_000_000), _echo(opened, "y")]  # more than the way takes

    proxy.end_replies()

    await wait_until(lambda: all(answer.done() for answer in answers), timeout=3)
    assert all(isinstance(answer.exception(), redis_errors.ConnectionError) for answer in answers)
    assert not opened.is_open
    proxy.requests.is_silent = False


async def test_each_reply_reaches_its_caller_through_cuts_at_any_byte(proxy: Proxy, namespace: str) -> None:
    queue = Queue("q", connection=proxy.url, namespace=namespace)
    chance = random.Random(7)

    async def echo(number: int) -> None:
        reply = await queue.space.client.read(Lookup([("PING", number)], lambda replies: replies[0]))
        assert reply == str(number).encode()

    for round_ in range(5):
        proxy.on(b"PING", "cut inside", bytes=chance.randrange(1, 400))
        await asyncio.gather(*(echo(number) for number in range(round_ * 100, round_ * 100 + 100)))
    await queue.aclose()
