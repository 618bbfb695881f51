"""A small TCP proxy between a client and its server that loses what it is told to lose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

Action = Literal["cut before", "cut after", "swallow", "delay"]


@dataclass(slots=True)
class Rule:
    """What to do with the next requests that contain some bytes."""

    match: bytes
    #: "cut before": close without passing the request on. "cut after": pass it on, and close when its reply
    #: comes. "swallow": pass it on, and keep all replies of this connection from then on. "delay": hold it.
    action: Action
    #: How many requests it is for.
    times: float
    seconds: float = 0.0
    #: How many requests it has met.
    met: int = 0
    #: How many of them it has passed on.
    passed: int = 0


class Proxy:
    """Forwards connections to a port of this machine, byte for byte, but for its rules."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._rules: list[Rule] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        #: Called with each chunk of requests before its rule is looked for.
        self.heard: Callable[[bytes], None] | None = None

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
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._tasks)

    def on(self, match: bytes, action: Action, *, times: float = 1, seconds: float = 0.0) -> Rule:
        """Do this with the next requests that contain `match`."""
        rule = Rule(match, action, times, seconds)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def cut_all(self) -> None:
        """Close all present connections."""
        for writer in list(self._writers):
            writer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        up_writer = None
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
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
        self._mute: Action | None = None

    async def requests(self) -> None:
        """Pass requests on until the client leaves or a rule cuts it off."""
        while chunk := await self._reader.read(1 << 20):
            rule = self._proxy.rule_for(chunk)
            if rule is not None and rule.action == "cut before":
                return
            if rule is not None and rule.action == "delay":
                await asyncio.sleep(rule.seconds)
            elif rule is not None:
                self._mute = rule.action
            self._up_writer.write(chunk)
            await self._up_writer.drain()
            if rule is not None:
                rule.passed += 1

    async def replies(self) -> None:
        """Pass replies back, unless a rule keeps them."""
        while chunk := await self._up_reader.read(1 << 20):
            if self._mute == "cut after":
                return
            if self._mute is None:
                self._writer.write(chunk)
                await self._writer.drain()
