"""Look through all data of a namespace for damage, and mend it: what `aqueue doctor` does.

Beside live workers and producers: each finding is made, and mended, in one step inside Redis. Keys are
walked in pages, and no step takes Redis longer than some milliseconds, however much there is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from aqueue._core.names import is_name
from aqueue._redis import mending
from aqueue._redis.keys import check_layout
from aqueue._redis.operations import Lookup
from aqueue.connection import Connection, Namespace, open_namespace
from aqueue.damage import UNKNOWN_KEY

#: Subjects that are told.
SAMPLES = 5
#: Kinds of keys that are looked at elsewhere than one by one.
_ELSEWHERE = frozenset({"job", "aside"})
_SINGLE = (b"queues", b"workers", b"heartbeat", b"hold", b"schema")


@dataclass(slots=True)
class Harm:
    """All damage of one kind."""

    kind: str
    #: Each job, key or name once.
    subjects: set[str] = field(default_factory=set[str])
    #: Those that could not be mended.
    left: set[str] = field(default_factory=set[str])

    @property
    def samples(self) -> list[str]:
        """A few of them."""
        return sorted(self.subjects)[:SAMPLES]


@dataclass(slots=True)
class Examination:
    """What was found, and mended where that was asked for."""

    #: By kind.
    harms: dict[str, Harm] = field(default_factory=dict[str, Harm])
    #: Keys under our prefix that this version does not know; they are left alone.
    unknown: set[str] = field(default_factory=set[str])
    #: Keys that were moved aside, now or earlier.
    aside: int = 0

    def note(self, damages: Sequence[mending.Damage]) -> None:
        """Add what a step found."""
        for damage in damages:
            if damage.kind == UNKNOWN_KEY:
                self.unknown.add(damage.subject)
                continue
            harm = self.harms.setdefault(damage.kind, Harm(damage.kind))
            harm.subjects.add(damage.subject)
            if damage.is_left:
                harm.left.add(damage.subject)

    @property
    def found(self) -> int:
        """How many."""
        return sum(len(harm.subjects) for harm in self.harms.values())

    @property
    def left(self) -> int:
        """How many could not be mended."""
        return sum(len(harm.left) for harm in self.harms.values())


async def count_keys(connection: Connection | None = None, *, namespace: str | None = None) -> int:
    """How many keys the server holds: about the work of an examination. One round trip.

    Raises:
        QueueUnavailable: Redis did not answer.
    """
    return await open_namespace(connection, namespace=namespace).client.read(mending.size())


async def examine(
    connection: Connection | None = None,
    *,
    namespace: str | None = None,
    repair: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Examination:
    """Look at all data of the namespace; with `repair`, mend what is found. About 8 round trips per 100 jobs.

    It may be ended and begun anew at any time: each step is complete, and changes nothing when repeated.

    Args:
        progress: Called with the number of keys that were walked; all keys of the server are, twice.

    Raises:
        SettingsError: A newer version has changed the layout; nothing was touched.
        QueueUnavailable: Redis did not answer, or this user lacks permissions.
    """
    space = open_namespace(connection, namespace=namespace)
    await _check_schema(space)
    return await _Round(space, repair, progress).run()


async def _check_schema(space: Namespace) -> None:
    keys = space.keys
    [held] = await space.client.read(mending.types([keys.schema]))
    if held != "string":
        return
    check_layout(keys, await space.client.read(mending.schema(keys)))


class _Round:
    """One walk through a namespace."""

    def __init__(self, space: Namespace, repair: bool, progress: Callable[[int], None]) -> None:
        self._space = space
        self._repair = repair
        self._progress = progress
        self._seen = Examination()
        self._queues: set[bytes] = set()
        self._workers: set[bytes] = set()

    async def run(self) -> Examination:
        """Keys first: where one of another type stands, nothing can be filed."""
        keys = self._space.keys
        await self._mend("keys", _SINGLE)
        async for names in self._scan("*"):
            await self._keys(names)
        self._queues.update(await self._members(keys.queues, "set"))
        self._workers.update(await self._members(keys.workers, "zset"))
        await self._mend("queues", self._queues)
        await self._mend("workers", self._workers)
        for queue in sorted(self._queues):
            await self._entries(queue.decode("utf-8", "replace"))
        async for names in self._scan("job:*"):
            ids = [name.partition(b":")[2] for name in names]
            await self._mend("records", ids)
            await self._mend("jobs", ids)
        await self._mend("queues", self._queues)
        return self._seen

    async def _mend(self, part: str, names: Sequence[bytes] | set[bytes], **more: str) -> None:
        size = mending.QUEUES if part == "queues" else mending.BATCH
        for batch in _batches(names, size):
            step = mending.mend(self._space.keys, part, batch, repair=self._repair, **more)
            self._seen.note(await self._space.client.run(step))

    async def _keys(self, names: Sequence[bytes]) -> None:
        others: list[bytes] = []
        for name in names:
            kind, _, rest = name.partition(b":")
            text = kind.decode("utf-8", "replace")
            self._seen.aside += text == "aside"
            if text in mending.LISTS or text in ("meta", "wake"):
                self._queues.add(rest)
            elif text == "worker" and is_name(rest.decode("utf-8", "replace")):
                self._workers.add(rest)
            if text not in _ELSEWHERE and name not in _SINGLE:
                others.append(name)
        await self._mend("keys", others)

    async def _entries(self, queue: str) -> None:
        keys = self._space.keys
        if not is_name(queue):
            return
        names = [keys.registry(registry, queue) for registry in mending.LISTS]
        held = await self._space.client.read(mending.types(names))
        for registry, name, kind in zip(mending.LISTS, names, held, strict=True):
            if kind == "zset":
                async for ids in self._pages(partial(mending.members, name, scored=True)):
                    await self._mend("entries", ids, registry=registry, queue=queue)

    async def _members(self, name: str, kind: str) -> set[bytes]:
        [held] = await self._space.client.read(mending.types([name]))
        found: set[bytes] = set()
        if held == kind:
            async for page in self._pages(partial(mending.members, name, scored=kind == "zset")):
                found.update(page)
        return found

    async def _scan(self, pattern: str) -> AsyncGenerator[Sequence[bytes]]:
        async for names in self._pages(partial(mending.scan, self._space.keys, pattern)):
            yield names
            self._progress(mending.PAGE)

    async def _pages(self, step: Callable[[bytes], Lookup[mending.Page]]) -> AsyncGenerator[Sequence[bytes]]:
        cursor = b"0"
        while True:
            page = await self._space.client.read(step(cursor))
            yield page.names
            cursor = page.cursor
            if cursor == b"0":
                return


def _batches(names: Sequence[bytes] | set[bytes], size: int) -> Iterator[list[bytes]]:
    ordered = list(names)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
