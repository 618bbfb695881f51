"""Every order in which the calls of a few actors can reach Redis, one order after the other.

Each actor is a coroutine with a client of its own, whose calls wait at a gate until they are let through. So
between any two calls of one actor any calls of the others may come.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aqueue import AqueueError, Queue
from aqueue._core.names import new_nonce
from aqueue._core.outcome import Lease, Outcome
from aqueue._redis import operations
from aqueue._redis.client import AsyncClient
from aqueue._redis.coalescer import Begun
from aqueue._redis.faults import PATIENCE
from aqueue._redis.keys import Keys
from aqueue._redis.operations import Lookup, Operation
from aqueue._redis.source import Source, from_url

T = TypeVar("T")


class Gate:
    """Where all calls wait for their turn."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.changed = asyncio.Event()

    async def turn(self, name: str) -> None:
        """Wait until this actor is let through."""
        self.waiting[name] = asyncio.get_running_loop().create_future()
        self.changed.set()
        await self.waiting[name]

    async def run(self, tasks: dict[str, asyncio.Task[None]], choose: Callable[[int], int]) -> None:
        """Let one call after the other through, until all actors are done."""
        for task in tasks.values():
            task.add_done_callback(lambda _: self.changed.set())
        while not all(task.done() for task in tasks.values()):
            while any(name not in self.waiting and not task.done() for name, task in tasks.items()):
                self.changed.clear()
                await self.changed.wait()
            if self.waiting:
                names = sorted(self.waiting)
                self.waiting.pop(names[choose(len(names))]).set_result(None)


class GatedClient(AsyncClient):
    """A client whose calls wait at the gate."""

    def __init__(self, source: Source, gate: Gate, name: str) -> None:
        super().__init__(source)
        self._gate = gate
        self._name = name

    def begin(self, operation: Operation[Any]) -> None:
        """Nothing is sent before its turn."""

    async def run(
        self, operation: Operation[T], *, patience: float | None = PATIENCE, begun: Begun | None = None
    ) -> T:
        await self._gate.turn(self._name)
        return await super().run(operation, patience=patience, begun=begun)

    async def read(self, lookup: Lookup[T], *, patience: float | None = PATIENCE) -> T:
        await self._gate.turn(self._name)
        return await super().read(lookup, patience=patience)


class Actor:
    """A producer, a worker or an admin: what it does is up to its script."""

    def __init__(self, url: str, namespace: str, gate: Gate, name: str) -> None:
        self.name = name
        self.client = GatedClient(from_url(url), gate, name)
        self.queue = Queue("default", f"{url}?client_name={name}", namespace=namespace)
        self.queue.space.connector._clients[asyncio.get_running_loop()] = self.client
        self.keys = Keys(namespace)

    async def claim(self, limit: int = 1, nonce: str | None = None, lease_ms: int = 60_000) -> list[Lease]:
        operation = operations.claim(
            self.keys, ["default"], worker_id=self.name, name=self.name, nonce=nonce or new_nonce(),
            limit=limit, lease_ms=lease_ms,
        )  # fmt: skip
        return list((await self.client.run(operation)).leases)

    async def settle(self, leases: Sequence[Lease], outcome: Outcome) -> list[str]:
        """Redis' words; nothing is sent for no leases."""
        pairs = [(lease, outcome) for lease in leases]
        return await self.client.run(operations.settle(self.keys, pairs)) if pairs else []

    async def work(self, outcome: Outcome, limit: int = 1) -> list[str]:
        return await self.settle(await self.claim(limit), outcome)

    async def recover(self) -> None:
        await self.client.run(operations.recover(self.keys, ["default"], lease_ms=60_000))

    async def prune(self) -> None:
        await self.client.run(operations.prune(self.keys, ["default"]))


#: What an actor does; what it returns is noted under its name, or the name of the error that it met.
Script = Callable[[Actor], Awaitable[Any]]


@dataclass
class Play:
    """A few actors, what is there before them, and what must hold after them in any order."""

    name: str
    actors: dict[str, Script]
    #: Prepares an empty server; gets a plain queue.
    before: Callable[[Queue], Awaitable[Any]]
    #: Looks at what the actors noted.
    after: Callable[[Queue, dict[str, Any]], Awaitable[None]]
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    async def perform(self, actors: Sequence[Actor], gate: Gate, choose: Callable[[int], int]) -> None:
        """Once, in one order."""
        self.notes = {}
        cast = zip(sorted(self.actors), actors, strict=False)
        tasks = {
            actor.name: asyncio.create_task(self._act(name, self.actors[name], actor)) for name, actor in cast
        }
        await gate.run(tasks, choose)
        await asyncio.gather(*tasks.values())

    async def _act(self, name: str, script: Script, actor: Actor) -> None:
        try:
            self.notes[name] = await script(actor)
        except AqueueError as error:
            self.notes[name] = type(error).__name__


class Orders:
    """All orders, depth first; or some by chance."""

    def __init__(self) -> None:
        self._left: list[list[int]] = [[]]
        self._taken: list[int] = []
        self._prefix: list[int] = []

    def next(self) -> bool:
        """Begin the next order; whether there is one."""
        if self._left:
            self._prefix, self._taken = self._left.pop(), []
            return True
        return False

    def choose(self, options: int) -> int:
        """The choice at this point; the others are left for later."""
        at = len(self._taken)
        if at < len(self._prefix):
            choice = self._prefix[at]
        else:
            choice = 0
            self._left += [[*self._taken, other] for other in range(1, options)]
        self._taken.append(choice)
        return choice


class SomeOrders(Orders):
    """So many, by chance."""

    def __init__(self, dice: random.Random, number: int) -> None:
        super().__init__()
        self._dice = dice
        self._number = number

    def next(self) -> bool:
        self._number -= 1
        return self._number >= 0

    def choose(self, options: int) -> int:
        return self._dice.randrange(options)
