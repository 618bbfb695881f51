"""A small TCP proxy between a client and its server that loses, delays and keeps what it is told to."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

from tests.support import wait_until

Action = Literal["cut before", "cut after", "cut inside", "swallow", "delay", "part"]


@dataclass(slots=True)
class Rule:
    """What to do with the next requests that contain some bytes."""

    match: bytes
    #: "cut before": close without passing the request on. "cut after": pass it on, and close when its reply
    #: comes. "cut inside": close after so many bytes of replies. "swallow": pass it on, and keep all replies
    #: of this connection from then on. "delay": hold it. "part": pass on what comes before `match`, let
    #: `meanwhile` happen, and pass on the rest.
    action: Action
    #: How many requests it is for.
    times: float
    seconds: float = 0.0
    #: Bytes of replies that come through before a cut inside.
    bytes: int = 0
    meanwhile: Callable[[], None] | None = None
    #: How many requests it has met.
    met: int = 0
    #: How many of them it has passed on.
    passed: int = 0


@dataclass(slots=True)
class Way:
    """What the network does to one direction of all connections, at any time."""

    #: Seconds that everything takes, and by how much more that varies.
    delay: float = 0.0
    jitter: float = 0.0
    #: Bytes a second.
    rate: float = float("inf")
    #: Nothing comes through; what was sent meanwhile arrives when it is cleared, as with TCP.
    is_silent: bool = False


class Proxy:
    """Forwards connections to the server of a URL, byte for byte, but for its rules."""

    def __init__(self, url: str) -> None:
        self._beyond = urlsplit(url)
        self._rules: list[Rule] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        #: Called with each chunk of requests before its rule is looked for.
        self.heard: Callable[[bytes], None] | None = None
        self.requests = Way()
        self.replies = Way()
        #: Called with each chunk of replies: whether it is lost, together with the connection.
        self.loses: Callable[[bytes], bool] | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """That URL, with the same user, through this proxy."""
        host = self._beyond.netloc.rpartition(":")[0]
        return self._beyond._replace(netloc=f"{host}:{self.port}").geturl()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def on(
        self,
        match: bytes,
        action: Action,
        *,
        times: float = 1,
        seconds: float = 0.0,
        bytes: int = 0,
        meanwhile: Callable[[], None] | None = None,
    ) -> Rule:
        """Do this with the next requests that contain `match`."""
        rule = Rule(match, action, times, seconds, bytes, meanwhile)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def cut_all(self) -> None:
        """Close all present connections."""
        for writer in list(self._writers):
            writer.close()

    def end_replies(self) -> None:
        """Send no more on all present connections, which stay open for requests."""
        for writer in self._writers:
            writer.write_eof()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        up_writer = None
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._beyond.port)
            link = Link(self, reader, writer, up_reader, up_writer)
            ways = [asyncio.create_task(link.requests()), asyncio.create_task(link.replies())]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            for end in (writer, up_writer):
                if end is not None:
                    end.close()

    def rule_for(self, chunk: bytes) -> Rule | None:
        if self.heard is not None:
            self.heard(chunk)
        for rule in self._rules:
            if rule.match in chunk and rule.times > 0:
                rule.times -= 1
                rule.met += 1
                return rule
        return None


class Link:
    """One client's connection and its way on."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        up_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._up_reader, self._up_writer = up_reader, up_writer
        self._mute: Rule | None = None

    async def requests(self) -> None:
        """Pass requests on until the client leaves or a rule cuts it off."""
        carrier = Carrier(self._proxy.requests, self._up_writer)
        while chunk := await self._reader.read(1 << 20):
            rule = self._proxy.rule_for(chunk)
            if rule is not None and rule.action == "cut before":
                return
            if rule is not None and rule.action == "delay":
                await asyncio.sleep(rule.seconds)
            elif rule is not None and rule.action == "part":
                first, found, last = chunk.partition(rule.match)
                await carrier.carry(first)
                assert rule.meanwhile is not None
                rule.meanwhile()
                chunk = found + last
            elif rule is not None:
                self._mute = rule
            await carrier.carry(chunk)
            if rule is not None:
                rule.passed += 1

    async def replies(self) -> None:
        """Pass replies back, unless a rule keeps them."""
        carrier = Carrier(self._proxy.replies, self._writer)
        while chunk := await self._up_reader.read(1 << 20):
            mute = self._mute
            if mute is None and self._proxy.loses is not None and self._proxy.loses(chunk):
                return
            if mute is not None and mute.action == "cut after":
                return
            if mute is not None and mute.action == "cut inside":
                await carrier.carry(chunk[: mute.bytes])
                mute.bytes -= len(chunk)
                if mute.bytes <= 0:
                    return
            elif mute is None:
                await carrier.carry(chunk)


class Carrier:
    """Takes bytes to a writer in the time that its way needs."""

    def __init__(self, way: Way, writer: asyncio.StreamWriter) -> None:
        self._way = way
        self._writer = writer
        #: The loop's time when the last bytes arrive.
        self._last = 0.0

    async def carry(self, chunk: bytes) -> None:
        way, loop = self._way, asyncio.get_running_loop()
        if way.is_silent:
            await wait_until(lambda: not way.is_silent, timeout=3600)
        if way.delay or way.jitter or way.rate < float("inf"):
            due = max(loop.time() + way.delay + random.uniform(0, way.jitter), self._last + 1e-6)
            self._last = due + len(chunk) / way.rate
            loop.call_at(self._last, self._write, chunk)
            return
        self._writer.write(chunk)
        await self._writer.drain()

    def _write(self, chunk: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(chunk)
