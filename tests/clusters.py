"""Nodes of a cluster: three masters that share the slots, and a replica of each if there are six."""

from __future__ import annotations

import functools
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest
from redis.crc import key_slot

from tests.api.admin import admin
from tests.sentinels import wait_for
from tests.servers import Server, free_port

#: Whether the server that tests share is a cluster of one node.
IS_SHARED = os.environ.get("AQUEUE_TEST_CLUSTER") == "1"

one_database = pytest.mark.skipif(IS_SHARED, reason="a cluster has one database")

SLOTS = 16_384
_MASTERS = 3


def slot_of(namespace: str) -> int:
    """The slot of all keys of a namespace."""
    return key_slot(f"{{{namespace}}}".encode())


@contextmanager
def lone_node(*settings: str, binary: str | None = None, aof: bool = True) -> Generator[Server]:
    """A cluster of one node."""
    own = (*settings, "--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with Server(*own, binary=binary, aof=aof) as server:
        _run(server, "CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        wait_for(functools.partial(is_up, server), "a cluster that is up")
        yield server


def is_up(server: Server) -> bool:
    """Whether a node believes that all slots are served."""
    return b"cluster_state:ok" in _run(server, "CLUSTER", "INFO")


class ClusterSet:
    """Three or six nodes that know each other and say that all is well."""

    def __init__(self, size: int, *settings: str) -> None:
        """Name what the nodes are started with: `settings`."""
        self._size = size
        self._settings = (
            *settings, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
            "--repl-diskless-sync-delay", "0", "--repl-timeout", "3",
        )  # fmt: skip
        self.servers: list[Server] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in self.servers:
            server.__exit__()

    def _start(self) -> None:
        buses = [self._add(number) for number in range(1, self._size + 1)]
        masters = self.servers[:_MASTERS]
        for number, server in enumerate(masters):
            first, last = SLOTS * number // _MASTERS, SLOTS * (number + 1) // _MASTERS - 1
            _run(server, "CLUSTER", "ADDSLOTSRANGE", first, last)
        for server, bus in zip(self.servers[1:], buses[1:], strict=True):
            _run(self.servers[0], "CLUSTER", "MEET", "127.0.0.1", server.port, bus)
        for replica, master in zip(self.servers[_MASTERS:], masters, strict=False):
            known = functools.partial(_run, replica, "CLUSTER", "REPLICATE", _id(master))
            wait_for(known, "a replica that knows its master")  # it answers with an error until then
        self.wait_until_well()

    def _add(self, epoch: int) -> int:
        """Start a node; the port of its bus."""
        bus = free_port()
        server = Server(*self._settings, "--cluster-port", str(bus))
        self.servers.append(server)
        server.start()
        _run(server, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        return bus

    def wait_until_well(self) -> None:
        """Wait until each node knows all others, believes all well, and replicas are in sync."""
        for server in self.servers:
            wait_for(functools.partial(self._is_well, server), "a node that believes all well")

    def _is_well(self, server: Server) -> bool:
        nodes = _nodes(server)
        troubled = any(flag in flags for _, flags, _ in nodes for flag in ("fail", "fail?", "handshake"))
        slots = sum(len(slots) for _, _, slots in nodes)
        replication = _run(server, "INFO", "replication").decode()
        in_sync = "role:master" in replication or "master_link_status:up" in replication
        return is_up(server) and in_sync and not troubled and (len(nodes), slots) == (self._size, SLOTS)

    def owner(self, slot: int) -> Server:
        """The master that serves the slot, by its own word."""

        def found() -> Server | None:
            return next((server for server in self._up() if slot in _own(server)), None)

        server: Server = wait_for(found, f"a node with slot {slot}")
        return server

    def stranger(self, slot: int) -> Server:
        """A master that serves other slots."""
        return next(server for server in self._up() if (own := _own(server)) and slot not in own)

    def replica(self, master: Server) -> Server:
        """A replica of this master."""
        wanted = str(master.port)
        return next(server for server in self._up() if _field(server, "master_port") == wanted)

    def fail_over(self, slot: int) -> Server:
        """Make the replica of the slot's master its master, while that lives; gives the new one."""
        old = self.owner(slot)
        new = self.replica(old)
        _run(new, "CLUSTER", "FAILOVER")
        wait_for(lambda: slot in _own(new) and not _own(old), "a failover")
        return new

    @contextmanager
    def giving_away(self, slot: int) -> Generator[Server]:
        """During the block the slot's master is about to give its keys away; gives who is to have them."""
        owner, other = self.owner(slot), self.stranger(slot)
        _run(other, "CLUSTER", "SETSLOT", slot, "IMPORTING", _id(owner))
        _run(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", _id(other))
        try:
            yield other
        finally:
            _run(owner, "CLUSTER", "SETSLOT", slot, "STABLE")
            _run(other, "CLUSTER", "SETSLOT", slot, "STABLE")

    def move(self, slot: int, to: Server) -> None:
        """Give the slot to another master, key by key."""
        owner = self.owner(slot)
        _run(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", _id(owner))
        _run(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", _id(to))
        while names := _run(owner, "CLUSTER", "GETKEYSINSLOT", slot, 10):
            _run(owner, "MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *names)
        for server in (to, owner):
            _run(server, "CLUSTER", "SETSLOT", slot, "NODE", _id(to))
        wait_for(lambda: slot in _own(to) and slot not in _own(owner), "a slot that was moved")

    def move_at_once(self, slot: int, to: Server) -> None:
        """Give the slot to another master in one step, as Valkey 9 can."""
        owner = self.owner(slot)
        _run(owner, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", _id(to))
        wait_for(lambda: slot in _own(to) and slot not in _own(owner), "a slot that was moved")

    def _up(self) -> Sequence[Server]:
        return [server for server in self.servers if server.is_up]


def _run(server: Server, *command: Any) -> Any:
    with admin(server) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def _id(server: Server) -> str:
    return str(_run(server, "CLUSTER", "MYID").decode())


def _nodes(server: Server) -> list[tuple[str, list[str], set[int]]]:
    """Id, flags and slots of each node that the server knows."""
    lines = [line.split() for line in _run(server, "CLUSTER", "NODES").decode().splitlines()]
    return [(fields[0], fields[2].split(","), _slots(fields[8:])) for fields in lines]


def _slots(ranges: Sequence[str]) -> set[int]:
    """What "0-5460 7000 [93-<-...]" names; what is being moved stands in brackets."""
    slots: set[int] = set()
    for text in ranges:
        if not text.startswith("["):
            first, _, last = text.partition("-")
            slots.update(range(int(first), int(last or first) + 1))
    return slots


def _own(server: Server) -> set[int]:
    """The slots that the server calls its own; none when it is a replica."""
    return next(slots for _, flags, slots in _nodes(server) if "myself" in flags)


def _field(server: Server, name: str) -> str:
    lines = _run(server, "INFO", "replication").decode().splitlines()
    return str(next((line.partition(":")[2] for line in lines if line.startswith(f"{name}:")), ""))
