"""One call of `Worker.work`: its services, what passes between them, and the way they end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import dataclass

import anyio

from aqueue._core.clock import now_ms
from aqueue._core.options import UNLIMITED
from aqueue._core.outcome import Failed, Lease, Outcome, Retried
from aqueue._redis import operations
from aqueue._redis.operations import Extended
from aqueue.connection import Namespace
from aqueue.errors import AqueueError
from aqueue.worker.deadlines import Deadlines
from aqueue.worker.executor import Executor
from aqueue.worker.fetcher import Fetcher
from aqueue.worker.heartbeat import Heartbeat
from aqueue.worker.maintenance import Maintenance
from aqueue.worker.running import Ask, Execution, Running
from aqueue.worker.settings import RunLimits, WorkerSettings
from aqueue.worker.settler import Settler

logger = logging.getLogger("aqueue.worker")

#: How long a claim that is under way at a shutdown may still take, seconds.
LAST_CLAIM = 2.0


@dataclass(slots=True)
class Identity:
    """Who a worker is."""

    #: Random, new for each worker; part of every token.
    id: str
    #: A label for people.
    name: str
    #: Names of the queues it serves, in order.
    queues: list[str]
    #: Outcomes recorded since it was made.
    finished: int = 0
    failed: int = 0


class Run:
    """One call of `work`: its services and the way they end."""

    def __init__(self, space: Namespace, settings: WorkerSettings, me: Identity, limits: RunLimits) -> None:
        self._space = space
        self._settings = settings
        self._me = me
        self._started_at = now_ms()
        self._drained = asyncio.Event()
        self._forced = asyncio.Event()
        self._stopping = asyncio.Event()
        self.running = Running()
        self.is_over = False
        self._executor = Executor(
            self._space, self._settings.concurrency, decided=self._decided, over=self._free
        )
        self._deadlines = Deadlines(self.running, self._deadline_passed)
        self._settler = Settler(self._space, self._settled)
        self._fetcher = Fetcher(
            self._space,
            me.queues,
            self._settings,
            limits,
            worker_id=me.id,
            name=me.name,
            start=self._start,
            taken=self.running.__len__,
            busy=lambda: bool(self.running.unsettled),
        )
        self._heartbeat = Heartbeat(
            self._space,
            self._settings,
            me.id,
            leases=self.running.leases,
            facts=self._facts,
            heard=self._heard,
        )

    @property
    def is_forced(self) -> bool:
        """Whether the grace was skipped."""
        return self._forced.is_set()

    def ask_to_stop(self) -> None:
        """Claim no more, then drain."""
        self._stopping.set()
        self._fetcher.stop()

    def signaled(self, number: int) -> None:
        """The first signal stops, the second skips the grace."""
        if self._stopping.is_set():
            logger.warning("second signal: jobs are cancelled now")
            self._forced.set()
        else:
            logger.info("signal %d: no new jobs, running ones have %g s", number, self._settings.grace)
            self.ask_to_stop()

    async def work(self, ready: asyncio.Future[None] | None) -> bool:
        """Run the services until the fetcher ends, then drain. `ready` is done when jobs are being served."""
        commands = self._space.keys.commands_channel(self._me.id)
        self._heartbeat.start()
        self._space.client.subscriber.subscribe(commands, self._commanded)
        if ready is not None:
            ready.set_result(None)
        logger.info("worker %s serves %s", self._me.name, ", ".join(self._me.queues))
        try:
            async with anyio.create_task_group() as services:
                services.start_soon(Maintenance(self._space, self._settings.lease_ms).run)
                try:
                    await self._fetch()
                    await self._drain(self._settings.grace if self._stopping.is_set() else None)
                except asyncio.CancelledError:
                    await self._drain_shielded()
                    raise
                finally:
                    services.cancel_scope.cancel()
        finally:
            self._deadlines.stop()
            self._space.client.subscriber.unsubscribe(commands)
            await self._leave()
            self.is_over = True
        return self._fetcher.claimed > 0

    async def _fetch(self) -> None:
        """Let the fetcher run; a claim that does not come back must not hold up the shutdown."""
        fetching = asyncio.get_running_loop().create_task(self._fetcher.run())
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait([fetching, stopping], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([fetching], timeout=LAST_CLAIM)
            if fetching.done():
                fetching.result()
        except asyncio.CancelledError:
            self._fetcher.stop()
            await asyncio.wait([fetching], timeout=LAST_CLAIM)
            raise
        finally:
            stopping.cancel()
            fetching.cancel()
            await asyncio.wait([fetching])

    async def _drain_shielded(self) -> None:
        """Drain without grace although this task is cancelled, maybe more than once."""
        self._stopping.set()
        self._fetcher.stop()
        drain = asyncio.get_running_loop().create_task(self._drain(0))
        while not drain.done():
            try:
                await asyncio.wait([drain])
            except asyncio.CancelledError:
                self._forced.set()

    async def _drain(self, grace: float | None) -> None:
        """Wait for the running jobs, then ask them to end, then give them back."""
        await self._until_settled(grace, also=self._forced if grace is not None else self._stopping)
        if grace is None and self.running.unsettled:
            await self._until_settled(self._settings.grace, also=self._forced)
        if not self.running.unsettled:
            return
        for execution in self.running.unsettled:
            self._executor.ask(execution, Ask.SHUTDOWN)
        await self._until_settled(self._settings.cleanup)
        for execution in self.running.unsettled:
            self._executor.give_up(execution)
        await self._until_settled(self._settings.farewell)
        for execution in self.running.unsettled:
            logger.warning("job %s could not be given back: its lease will", execution.lease.job_id)
        self._settler.abandon()

    async def _until_settled(self, seconds: float | None, also: asyncio.Event | None = None) -> None:
        """Wait until no execution is unsettled, the time is over, or the other event comes."""
        waits = [
            asyncio.get_running_loop().create_task(event.wait()) for event in (self._drained, also) if event
        ]
        self._check_drained()
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _check_drained(self) -> None:
        if self.running.unsettled:
            self._drained.clear()
        else:
            self._drained.set()

    async def _leave(self) -> None:
        await self._heartbeat.stop()
        try:
            leave = operations.leave(self._space.keys, self._me.id)
            await self._space.client.run(leave, patience=1.0)
        except AqueueError:
            pass  # the record goes by itself
        for execution in self.running.zombies:
            logger.warning("job %s was given up, but its code still runs", execution.lease.job_id)
        logger.info("worker %s ended", self._me.name)

    def _start(self, lease: Lease) -> None:
        """Run a lease in a slot of its own."""
        execution = self._executor.start(lease)
        self.running.add(execution)
        if lease.record.timeout != UNLIMITED:
            self._deadlines.set(execution, asyncio.get_running_loop().time() + lease.record.timeout / 1000)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("job %s started: %s", lease.job_id, lease.record.function)

    def _ask(self, execution: Execution, ask: Ask) -> None:
        """Ask an execution to end, and look again after the cleanup time."""
        if self._executor.ask(execution, ask):
            self._deadlines.set(execution, asyncio.get_running_loop().time() + self._settings.cleanup)

    def _deadline_passed(self, execution: Execution) -> None:
        if execution.is_decided:
            return
        if execution.asked is None or execution.asked is Ask.SHUTDOWN:
            self._ask(execution, Ask.TIMEOUT)
        else:
            logger.warning("job %s does not end when cancelled: it is given up", execution.lease.job_id)
            self._executor.give_up(execution)

    def _decided(self, execution: Execution, outcome: Outcome | None) -> None:
        """An outcome is known: take it to Redis, unless the lease is lost."""
        if outcome is not None:
            self._settler.add(execution, outcome)
            return
        execution.is_settled = True
        self._free(execution)

    def _settled(self, execution: Execution, outcome: Outcome, word: str) -> None:
        job_id = execution.lease.job_id
        execution.is_settled = True
        if word == "lost":
            logger.warning("job %s: the lease was lost, so its outcome is dropped", job_id)
        elif isinstance(outcome, Failed):
            self._me.failed += 1
            logger.warning("job %s failed: %s: %s", job_id, outcome.type, ascii(outcome.message))
        elif isinstance(outcome, Retried):
            logger.warning("job %s raised %s and is retried", job_id, outcome.error.type)
        else:
            self._me.finished += 1
            if logger.isEnabledFor(logging.INFO):
                logger.info("job %s %s", job_id, type(outcome).__name__.lower())
        self._free(execution)

    def _free(self, execution: Execution) -> None:
        """Free the slot once the outcome is recorded and the code is over."""
        self.running.release(execution)
        self._fetcher.notice()
        if self._stopping.is_set() or not self._drained.is_set():
            self._check_drained()

    def _heard(self, extended: Extended) -> None:
        """What a beat brought back."""
        for job_id in extended.lost:
            for execution in self.running.find(job_id):
                if not execution.is_decided:
                    logger.warning("job %s: the lease was lost; it is cancelled here", job_id)
                    self._ask(execution, Ask.LOST)
        for job_id, request in extended.asked.items():
            self._requested(job_id, request)

    def _commanded(self, message: bytes | None) -> None:
        """A message on this worker's channel: "cancel <id>" or "stop <id>"."""
        if message is not None:
            request, _, job_id = message.decode("utf-8", "replace").partition(" ")
            self._requested(job_id, request)

    def _requested(self, job_id: str, request: str) -> None:
        ask = {"cancel": Ask.CANCEL, "stop": Ask.STOP}.get(request)
        if ask is not None:
            for execution in self.running.find(job_id):
                self._ask(execution, ask)

    def _facts(self) -> dict[str, str | int]:
        """The worker's record; called from the heartbeat thread."""
        return {
            "name": self._me.name,
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "queues": " ".join(self._me.queues),
            "concurrency": self._settings.concurrency,
            "lease": self._settings.lease_ms,
            "state": "stopping" if self._stopping.is_set() else "busy" if len(self.running) else "idle",
            "running": len(self.running),
            "finished": self._me.finished,
            "failed": self._me.failed,
            "started_at": self._started_at,
        }
