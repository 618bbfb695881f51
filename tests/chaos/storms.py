"""Faults by chance, and other ways to be hostile to a connection."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from aqueue._redis import faults
from aqueue._redis.operations import Operation
from aqueue._redis.scripts import Argument, load
from aqueue._redis.source import from_url
from aqueue._redis.sync_client import SyncClient
from tests.api.proxy import Action, Proxy, Rule

T = TypeVar("T")

#: Actions after which a reply is missing though the server has done its part.
REPLY_IS_LOST = ("cut after", "cut inside", "swallow")
#: What these scripts say is news for the log, which nobody misses: only their effect is the same again.
NEWS = {"recover", "promote", "prune"}


def _is_news(operation: Operation[T]) -> bool:
    """Also two settlements of one job in one call, as no worker sends: only the last one is remembered."""
    if operation.script.name == "settle":
        ids: list[Argument] = []
        at = 3
        while at < len(operation.args):
            ids.append(operation.args[at])
            at += 7 if operation.args[at + 2] in ("fail", "retry") else 5
        return len(set(ids)) < len(ids)
    return operation.script.name in NEWS


class Storm(Proxy):
    """A proxy with faults by chance for the calls of some scripts."""

    def __init__(
        self, url: str, dice: random.Random, *scripts: str, chance: float, actions: Sequence[Action]
    ) -> None:
        super().__init__(url)
        self._dice = dice
        self._scripts = [load(name).sha.encode() for name in scripts]
        self._actions = actions
        self.chance = chance
        #: Faults so far, and how many of them lost a reply.
        self.faults = 0
        self.lost_replies = 0

    def rule_for(self, chunk: bytes) -> Rule | None:
        rule = super().rule_for(chunk)
        is_meant = any(sha in chunk for sha in self._scripts)
        if rule is not None or not is_meant or self._dice.random() >= self.chance:
            return rule
        action = self._dice.choice(self._actions)
        self.faults += 1
        self.lost_replies += action in REPLY_IS_LOST
        return Rule(chunk, action, 1, self._dice.uniform(0, 0.1), self._dice.randrange(200))


@contextmanager
def short_pauses() -> Generator[None]:
    """Tries that failed are repeated almost at once, by this process."""
    kept = faults.SHORTEST_PAUSE, faults.LONGEST_PAUSE
    faults.SHORTEST_PAUSE, faults.LONGEST_PAUSE = 0.0005, 0.002
    try:
        yield
    finally:
        faults.SHORTEST_PAUSE, faults.LONGEST_PAUSE = kept


class FarClient(SyncClient):
    """Calls scripts through a proxy that fails them, each one to ten times in a row; reads go straight."""

    def __init__(self, url: str, proxy: Proxy, action: Action, dice: random.Random) -> None:
        super().__init__(from_url(url))
        self._far = SyncClient(from_url(proxy.url))
        self._proxy = proxy
        self._action: Action = action
        self._dice = dice
        #: Faults so far.
        self.met = 0

    def run(self, operation: Operation[T], *, patience: float | None = 10) -> T:
        first = super().run(operation) if _is_news(operation) else None
        rule = self._proxy.on(operation.script.sha.encode(), self._action, times=self._times())
        try:
            reply = self.call(operation)
            return reply if first is None else first
        finally:
            self._proxy.clear()
            self.met += rule.met

    def call(self, operation: Operation[T]) -> T:
        """Call a script through the proxy."""
        return self._far.run(operation)

    def close(self) -> None:
        super().close()
        self._far.close()

    def _times(self) -> int:
        return self._dice.randint(1, 10) if self._dice.random() < 0.2 else self._dice.randint(0, 1)
