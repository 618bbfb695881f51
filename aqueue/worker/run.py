"""One call of `Worker.work`: its services, what passes between them, and the way they end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from aqueue._core.failure import describe_exception
from aqueue._core.logs import get_logger
from aqueue._core.options import UNLIMITED
from aqueue._core.outcome import Failed, Finished, Lease, Outcome
from aqueue._redis import operations
from aqueue.connection import Namespace
from aqueue.errors import AqueueError, BadSignature, QueueUnavailable
from aqueue.worker.deadlines import Deadlines
from aqueue.worker.doubt import doubt
from aqueue.worker.executor import Executor
from aqueue.worker.fetcher import LAST_CLAIM, Fetcher
from aqueue.worker.heartbeat import Heartbeat, News
from aqueue.worker.identity import Identity
from aqueue.worker.lifespan import Lifespan
from aqueue.worker.maintenance import Maintenance
from aqueue.worker.memory import watch_memory
from aqueue.worker.report import report
from aqueue.worker.running import Ask, Execution, Running
from aqueue.worker.settings import RunLimits, WorkerSettings
from aqueue.worker.settler import Ended, Settler
from aqueue.worker.shield import finish
from aqueue.worker.watchdog import Watchdog
from aqueue.worker.zombies import Zombies

logger: logging.Logger = get_logger("aqueue.worker")

_ASKS = {"cancel": Ask.CANCEL, "stop": Ask.STOP, "lost": Ask.LOST}

#: How long the worker tries to remove its record at the end, seconds.
LAST_CALL = 1.0


class Run:
    """One call of `work`: its services and the way they end."""

    def __init__(
        self, space: Namespace, settings: WorkerSettings, me: Identity, limits: RunLimits, lifespan: Lifespan
    ) -> None:
        self._space = space
        self._settings = settings
        self._me = me
        self.lifespan = lifespan
        self._task: asyncio.Task[Any] | None = None
        #: Something has changed that a drain may wait for.
        self._progress = asyncio.Event()
        self._stopping = asyncio.Event()
        self._refusal: QueueUnavailable | None = None
        self.running: Running = Running(settings.concurrency)
        #: Whether the grace is skipped.
        self.is_forced: bool = False
        #: Why another process should take this one's place.
        self.restart_reason: str | None = None
        self._zombies = Zombies(settings.max_zombies, settings.cleanup, self._ask_to_restart)
        self._executor = Executor(
            space, settings, lifespan,
            begun=self._begun,
            decided=self._decided,
            over=self._over,
            outlived=self._zombies.notice,
            leaving=self._is_cancelled,
        )  # fmt: skip
        self._deadlines = Deadlines(self.running, self._deadline_passed)
        self._settler = Settler(
            self._space, sent=self._sent, refused=self._settlement_refused, settled=self._settled
        )
        self._maintenance = Maintenance(space, settings.lease_ms, refused=self._refused)
        self._fetcher = Fetcher(space, me, settings, limits, start=self._start, running=self.running)
        self._heartbeat = Heartbeat(space, settings, me.id, self.running, self._facts, self._heard)
        self._watchdog = Watchdog(self.running, settings, self._heartbeat.beat_now)

    def ask_to_stop(self) -> None:
        """Claim no more, then drain."""
        self._stopping.set()
        self._progress.set()
        self._fetcher.stop()
        self.lifespan.stop()

    def signaled(self, number: int) -> None:
        """The first signal stops, the second skips the grace."""
        if self._stopping.is_set():
            logger.warning("second signal: jobs are cancelled now")
            self.force()
        else:
            logger.info("signal %d: no new jobs, running ones have %g s", number, self._settings.grace)
            self.ask_to_stop()

    @property
    def reached_max_jobs(self) -> bool:
        """Whether it has claimed all the jobs that it was to run."""
        return self._fetcher.is_full()

    def _ask_to_restart(self, reason: str) -> None:
        """Drain as after a signal, and say why a new process is needed."""
        if not self._stopping.is_set():
            logger.error("worker %s drains, and its process must be replaced: %s", self._me.name, reason)
            self.restart_reason = reason
            self.ask_to_stop()

    def _retire(self, reason: str) -> None:
        """Claim no more, let what runs end in its own time, and say why a new process is needed."""
        if not self._stopping.is_set():
            logger.warning(
                "worker %s takes no new jobs, its process is to be replaced: %s", self._me.name, reason
            )
            self.restart_reason = reason
            self._fetcher.stop()

    def force(self) -> None:
        """Skip the grace."""
        self.is_forced = True
        self._progress.set()
        self.lifespan.force()

    async def work(self, ready: asyncio.Future[None] | None) -> bool:
        """Run the services until the fetcher ends, then drain. `ready` is done when jobs are being served."""
        commands = self._space.keys.commands_channel(self._me.id)
        self._task = asyncio.current_task()
        client = self._space.connector.client()
        client.workers += 1
        self._heartbeat.start()
        self._watchdog.start(is_guest=ready is not None)
        client.subscriber.subscribe(commands, self._commanded)
        if ready is not None:
            ready.set_result(None)
        logger.info("worker %s serves %s", self._me.name, ", ".join(self._me.queues))
        try:
            async with anyio.create_task_group() as services:
                services.start_soon(self._maintenance.run)
                if self._settings.on_unsure == "cancel":
                    services.start_soon(doubt, self.running, self._settings.lease, self._doubted)
                if self._settings.max_rss is not None:
                    services.start_soon(watch_memory, self._settings.max_rss, self._retire)
                try:
                    await self._fetch()
                    await self._drain(self._settings.grace if self._stopping.is_set() else None)
                except BaseException:
                    self.ask_to_stop()
                    await finish(self._drain(0), self.force)
                    raise
                finally:
                    services.cancel_scope.cancel()
        finally:
            self._deadlines.stop()
            self._zombies.stop()
            client.subscriber.unsubscribe(commands)
            client.workers -= 1
            await finish(self._leave())
        if self._refusal is not None:
            raise self._refusal
        return self._fetcher.claimed > 0

    def _refused(self, error: QueueUnavailable) -> None:
        """Redis refuses the credentials for good: drain, and end with this error."""
        self._refusal = error
        self.ask_to_stop()

    async def _fetch(self) -> None:
        """Let the fetcher run; a claim that does not come back must not hold up the shutdown."""
        fetching = asyncio.get_running_loop().create_task(self._fetcher.run())
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        try:
            await asyncio.wait([fetching, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            self._fetcher.stop()
            await finish(self._last_claim(fetching))

    async def _last_claim(self, fetching: asyncio.Task[None]) -> None:
        """Give the claim under way some time: what it brings can be run or released."""
        await asyncio.wait([fetching], timeout=LAST_CLAIM)
        fetching.cancel()
        await asyncio.wait([fetching])
        if not fetching.cancelled():
            fetching.result()

    async def _drain(self, grace: float | None) -> None:
        """Wait for the running jobs, then ask them to end, then give them back.

        Args:
            grace: How long they may go on; None: until they end or the worker is asked to stop.
        """
        if grace is None:
            await self._until(lambda: self._is_drained() or self._stopping.is_set(), None)
        await self._until(
            lambda: self._is_drained() or self.is_forced, self._settings.grace if grace is None else grace
        )
        for execution in self.running.undecided:
            self._executor.ask(execution, Ask.SHUTDOWN)
        await self._until(lambda: not self.running.undecided, self._settings.cleanup)
        for execution in self.running.undecided:
            self._executor.give_up(execution)
        await self._until(self._is_drained, self._settings.farewell)
        for execution in self.running.unsettled:
            logger.warning("job %s could not be given back: its lease will", execution.lease.job_id)
        self._settler.abandon()

    def _is_cancelled(self) -> bool:
        """Whether the task of `work` is being cancelled."""
        return self._task is not None and self._task.cancelling() > 0

    def _is_drained(self) -> bool:
        return not self.running.unsettled

    async def _until(self, is_over: Callable[[], bool], seconds: float | None) -> None:
        """Wait until the condition holds or the time is over."""
        try:
            async with asyncio.timeout(seconds):
                while not is_over():
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            pass

    async def _leave(self) -> None:
        await self._executor.close()
        await self._heartbeat.stop()
        self._watchdog.stop()
        try:
            async with asyncio.timeout(LAST_CALL):
                await self._space.client.run(operations.leave(self._space.keys, self._me.id))
        except (AqueueError, TimeoutError):
            pass  # the record goes by itself
        for execution in self.running.zombies:
            logger.warning("job %s was given up, but its code still runs", execution.lease.job_id)
        logger.info("worker %s ended", self._me.name)

    def _start(self, lease: Lease) -> None:
        """Run a lease in a slot of its own."""
        try:
            record = self._space.codec.seal.verified(lease.record)
            record.check()
        except BadSignature as error:
            self._refuse(lease, "BadSignature", str(error))
            return
        except Exception as error:  # another program's or version's record: it fails, not the worker
            failure = describe_exception(error)
            message = f"the record of job {lease.job_id!r} is damaged: {failure.type}: {failure.message}"
            self._refuse(lease, "PayloadError", message)
            return
        default = self._settings.default_timeout
        if default is not None and b"timeout" not in record.fields:
            record = record.evolve(timeout=default)
        if record is not lease.record:
            lease = Lease(record, lease.token)
        execution = self._executor.start(lease)
        self.running.add(execution)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("job %s started: %s", lease.job_id, lease.record.function)

    def _begun(self, execution: Execution) -> None:
        """The job's time begins, unless it is to end already."""
        timeout = execution.lease.record.timeout
        if timeout != UNLIMITED and execution.asked is None:
            self._deadlines.set(execution, asyncio.get_running_loop().time() + timeout / 1000)

    def _refuse(self, lease: Lease, kind: str, message: str) -> None:
        """Fail a job whose record cannot be read or is not to be trusted."""
        execution = Execution(lease)
        execution.is_decided = execution.is_over = True
        self.running.add(execution)
        self._settler.add(execution, Failed(kind, message, f"{kind}: {message}"))

    def _ask(self, execution: Execution, ask: Ask) -> bool:
        """Ask an execution to end, and look again after the cleanup time. False: there is no need to."""
        if not self._executor.ask(execution, ask):
            return False
        self._deadlines.set(execution, asyncio.get_running_loop().time() + self._settings.cleanup)
        return True

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
        self._me.worked += time.monotonic() - execution.began
        self._progress.set()
        if outcome is not None:
            self._settler.add(execution, outcome)
            return
        execution.is_settled = True
        self._over(execution)

    def _over(self, execution: Execution) -> None:
        """Its code runs no more, or nothing is to be recorded."""
        if execution.is_settled:
            self.running.release(execution)
            self._fetcher.notice()
            self._progress.set()

    def _sent(self, ended: Sequence[Ended]) -> None:
        """Outcomes leave: a claim may follow them at once."""
        for execution, _ in ended:
            self.running.leave(execution)
        self._fetcher.notice()

    def _settlement_refused(self, ended: Sequence[Ended]) -> None:
        for execution, _ in ended:
            self.running.stay(execution)

    def _settled(self, ended: Sequence[Ended], words: Sequence[str]) -> None:
        for (execution, outcome), word in zip(ended, words, strict=True):
            execution.is_settled = True
            self.running.release(execution)
            if word != "lost":
                self._me.finished += isinstance(outcome, Finished)
                self._me.failed += isinstance(outcome, Failed)
        self._fetcher.notice()
        self._progress.set()
        for (execution, outcome), word in zip(ended, words, strict=True):  # last: a log handler may raise
            if self._me.told is not None and word != "lost":
                self._me.told(execution.lease, outcome)
            report(execution.lease, outcome, word)

    def _heard(self, news: News) -> None:
        """What a beat brought back. A job may have been settled and claimed again since it was sent."""
        for lease, word in news:
            execution, ask = self.running.get(lease), _ASKS.get(word)  # others may have asked for anything
            if execution is not None and ask is not None and self._ask(execution, ask) and word == "lost":
                logger.warning("job %s: the lease was lost; it is cancelled here", lease.job_id)

    def _doubted(self, execution: Execution) -> None:
        """Redis has not confirmed the lease for its whole length: end the job as if it were lost."""
        if self._ask(execution, Ask.LOST):
            logger.warning(
                "job %s: Redis has confirmed nothing for the length of its lease; it is cancelled here",
                execution.lease.job_id,
            )

    def _commanded(self, message: bytes | None) -> None:
        """A message on this worker's channel: "cancel <id>" or "stop <id>"."""
        if message is not None:
            request, _, job_id = message.decode("utf-8", "replace").partition(" ")
            if request in ("cancel", "stop"):
                for execution in self.running.find(job_id):
                    self._ask(execution, _ASKS[request])

    def _facts(self) -> dict[str, str | int]:
        """The worker's record; called from the heartbeat thread."""
        return self._me.facts(self._settings, self.running, self._state())

    def _state(self) -> str:
        if self.running.has_given_up:
            return "stalled"
        if self._stopping.is_set() or self.restart_reason is not None:
            return "stopping"
        return "busy" if len(self.running) else "idle"
