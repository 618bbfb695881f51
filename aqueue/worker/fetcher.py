"""Bring work: wait for it without polling, and claim jobs for the free slots, at most half of all at a time.

A worker without free slots neither claims nor waits on the wake keys. What a wake token or the
timer of a scheduled job says is only "look again"; the claim alone moves jobs.

While no code runs, a claim stands at Redis behind the wait for a token, and is run the moment one comes: the
job does not wait for the worker to ask. It may be run unseen, when its connection breaks. So the next claim
bears the same number: it gets the same jobs if the standing one was run, and keeps it from running if not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aqueue._core.logs import get_logger
from aqueue._core.outcome import Lease
from aqueue._redis import operations
from aqueue._redis.doorbell import Doorbell
from aqueue._redis.faults import CAUGHT, SHORTEST_PAUSE, ServerError
from aqueue._redis.operations import BATCH, Claimed, Operation
from aqueue.connection import Namespace
from aqueue.worker.identity import Identity
from aqueue.worker.running import Running
from aqueue.worker.settings import RunLimits, WorkerSettings

logger: logging.Logger = get_logger("aqueue.worker")

#: The longest wait on the wake keys, seconds: what a lost token costs at most; see `doorbell.LONGEST`.
RING = 2.0
#: Seconds before a claim is tried again that Redis refused outright.
REFUSED_PAUSE = 2.0
#: Seconds that the last claim may take when the worker ends.
LAST_CLAIM = 2.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim that waits at Redis for a wake token."""

    nonce: str
    operation: Operation[Claimed]
    answer: asyncio.Future[list[Any]]


class Fetcher:
    """Claims jobs for one worker until told to stop or a limit is reached."""

    def __init__(
        self,
        space: Namespace,
        me: Identity,
        settings: WorkerSettings,
        limits: RunLimits,
        *,
        start: Callable[[Lease], None],
        running: Running,
    ) -> None:
        """Make a fetcher; `start` begins to run a lease."""
        self._space = space
        self._me = me
        self._settings = settings
        self._limits = limits
        self._start = start
        #: Half the slots: while Redis works on one half's jobs, the other half runs.
        self._most = min(max(1, settings.concurrency // 2), BATCH)
        self._running = running
        self._changed = asyncio.Event()
        #: A wake token was taken: claim now, also without a free slot, so that it is passed on.
        self._rang = False
        #: Something may be claimable. After a claim that left nothing, whatever comes pushes a wake token.
        self._look = True
        self._bell: asyncio.Task[None] | None = None
        #: Not answered yet, by itself or by a claim of the same number.
        self._standing: Standing | None = None
        #: Redis waits for a token, and no claim with it yet.
        self._may_stand = False
        self._doorbell = Doorbell(space.connector.source)
        self._due: asyncio.TimerHandle | None = None
        self._stopped = False
        self._idle_since = 0.0
        #: How many jobs it has claimed.
        self.claimed: int = 0

    def notice(self) -> None:
        """Look again: an execution has ended, or something else has changed."""
        self._idle_since = asyncio.get_running_loop().time()
        self._look = self._look or self._limits.burst
        self._changed.set()

    def stop(self) -> None:
        """Claim no more; `run` returns soon."""
        self._stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Claim until stopped or a limit is reached. Cancelled during a claim, leases bring its jobs back."""
        try:
            self._idle_since = asyncio.get_running_loop().time()
            while not self._stopped and not self.is_full():
                free = self._free()
                if free == 0 and self._limits.burst and not self._running.unsettled:
                    logger.warning("all slots are taken by jobs that were given up but do not end")
                    break
                if not self._rang and not (free and self._look):
                    if free:
                        self._ring()
                        self._stand()
                    if await self._wait():
                        break
                    continue
                self._rang = self._look = False
                was_busy = self._limits.burst and bool(self._running.unsent)
                claimed = await self._claim(free)
                if claimed is None:
                    self._look = True
                    continue
                if claimed.more and self._free() > 0:
                    continue
                if self._limits.burst and not (was_busy or self._running.unsettled):
                    break  # had a job run when the claim was sent, it might be queued again by now
            await self._recall()
        finally:
            await self._close()

    def is_full(self) -> bool:
        """Whether max_jobs are claimed."""
        return self._limits.max_jobs is not None and self.claimed >= self._limits.max_jobs

    def _free(self) -> int:
        free = min(self._running.free, self._most)
        if self._limits.max_jobs is not None:
            free = min(free, self._limits.max_jobs - self.claimed)
        return max(0, free)

    async def _wait(self) -> bool:
        """Wait until something has changed; whether max_idle_time is over."""
        seconds = None
        if self._limits.max_idle is not None and not self._running.unsettled:
            seconds = self._idle_since + self._limits.max_idle - asyncio.get_running_loop().time()
            if seconds <= 0:
                return True
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()
        return False

    def _due_in(self, next_ms: int | None) -> None:
        """Look again when the earliest scheduled job is due; BLPOP's own timeout ends up to 100 ms late."""
        if self._due is not None:
            self._due.cancel()
        self._due = None
        if next_ms is not None:
            self._due = asyncio.get_running_loop().call_later(next_ms / 1000, self._is_due)

    def _is_due(self) -> None:
        self._look = True
        self._changed.set()

    def _ring(self) -> None:
        """Wait on the wake keys, unless that is being done already."""
        if self._bell is None:
            self._bell = asyncio.get_running_loop().create_task(self._wait_for_bell())

    async def _wait_for_bell(self) -> None:
        """Wait for a token, or for so long that one may have been lost; take what a standing claim brings."""
        wake_keys = [self._space.keys.wake(queue) for queue in self._me.queues]
        is_answered = False
        try:
            await self._doorbell.wait(wake_keys, RING, self._rings)
            standing = self._standing
            if standing is not None:
                [reply] = await standing.answer
                is_answered = standing is self._standing  # and not by another claim meanwhile
                if is_answered:
                    self._take(standing.operation.decode(reply))
        except CAUGHT:
            await asyncio.sleep(SHORTEST_PAUSE)
        finally:
            self._rang = not is_answered
            self._may_stand = False
            self._bell = None
            self._changed.set()

    def _rings(self) -> None:
        self._may_stand = not self._limits.burst
        self._changed.set()

    def _stand(self) -> None:
        """Let a claim wait for the token, too; not while code runs, which might block the loop.

        Called by `run` alone: while a claim is under way, none of a higher number must overtake it.
        """
        if not self._may_stand or not self._running.is_idle:
            return
        nonce = next(self._me.nonces)
        operation = self._operation(nonce, self._free(), alive_ms=self._settings.lease_ms // 2)
        answer = self._doorbell.follow(operation)
        if answer is not None:
            self._may_stand = False
            self._standing = Standing(nonce, operation, answer)

    async def _recall(self) -> None:
        """Let no claim stand at Redis, and take what it has brought already."""
        await self._silence()
        if self._standing is not None:
            try:
                async with asyncio.timeout(LAST_CLAIM):
                    await self._claim(0)
            except TimeoutError:
                logger.warning(
                    "Redis does not say whether it has handed out a job: its lease will bring it back"
                )

    def _operation(self, nonce: str, limit: int, *, alive_ms: int = 0) -> Operation[Claimed]:
        return operations.claim(
            self._space.keys,
            self._me.queues,
            worker_id=self._me.id,
            name=self._me.name,
            nonce=nonce,
            limit=limit,
            lease_ms=self._settings.lease_ms,
            alive_ms=alive_ms,
        )

    async def _claim(self, limit: int) -> Claimed | None:
        """Claim and start; None when Redis refuses, after a pause."""
        standing = self._standing
        nonce = next(self._me.nonces) if standing is None else standing.nonce
        try:
            claimed = await self._space.client.run(self._operation(nonce, limit), patience=None)
        except ServerError:
            logger.exception("Redis refuses to hand out jobs, trying again")
            await asyncio.sleep(REFUSED_PAUSE)
            return None
        if standing is self._standing:  # else the standing claim has brought the same jobs meanwhile
            self._take(claimed)
        return claimed

    def _take(self, claimed: Claimed) -> None:
        """Start what a claim has brought."""
        self._standing = None
        self.claimed += len(claimed.leases)
        self._look = self._look or claimed.more
        self._due_in(claimed.next_ms)
        for lease in claimed.leases:
            self._start(lease)

    async def _silence(self) -> None:
        """Wait for no token any more."""
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.cancel()
            await asyncio.wait([bell])

    async def _close(self) -> None:
        if self._due is not None:
            self._due.cancel()
        await self._silence()
        await self._doorbell.aclose()
