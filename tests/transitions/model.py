"""What the scripts promise, said again in Python: the verbs, each changing a world of jobs as Redis must.

Every verb returns the words that Redis answers and takes the same nonces and tokens, so that a replayed
call is nothing special: it is made again here, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from aqueue._core.options import DAY_MS, DEFAULT_MAX_LOST
from aqueue._core.outcome import Canceled, Failed, Finished, Lease, Outcome, Released, Retried, Stopped
from aqueue._core.status import ENDED, REGISTRY_OF, WAITING, JobStatus
from aqueue._redis.operations import NewJob
from aqueue.errors import QueueFull
from tests.transitions.world import FOREVER, LEASE, MINUTE, SOME_TIME, TIMED, World


class Model(World):
    """The verbs of producers, workers and maintenance."""

    # -- producers

    def enqueue(self, queue: str, new_jobs: Sequence[NewJob]) -> list[str]:
        stored_before = self._stored_by(new_jobs)
        accepted: dict[str, tuple[NewJob, str]] = {}
        words: list[str] = []
        answered: dict[str, tuple[str, str]] = {}  # id -> nonce and word of the first in this call
        for new in new_jobs:
            old = self.jobs.get(new.id, {})
            word = "created" if new.mode == "save" else "scheduled" if new.delay_ms > 0 else "queued"
            if old and old.get("nonce", "") == new.nonce:
                answered[new.id] = new.nonce, old["status"]
            elif new.id not in answered and old.get("status") not in {"started", *WAITING}:
                answered[new.id] = new.nonce, word
                accepted[new.id] = new, word
            nonce, word = answered.get(new.id, ("", old.get("status", "")))
            words.append(word if nonce == new.nonce else f"duplicate {word}")
        if accepted and self.full:
            raise QueueFull
        for new, word in accepted.values():
            self._store(new, word, queue)
        stored_as = {word for _, word in accepted.values()}
        if stored_as & {"queued", "scheduled"}:
            self.queues.add(queue)
        earliest = self.listed("scheduled", queue)[:1]
        if "queued" in stored_as or ("scheduled" in stored_as and earliest[0] in answered):
            self.wake(queue)
        assert stored_before.items() <= self._stored_by(new_jobs).items(), "a repeated call doubles a job"
        return words

    def _stored_by(self, new_jobs: Sequence[NewJob]) -> dict[str, tuple[str, str]]:
        """What there is of these jobs: id -> nonce and incarnation."""
        found = {new.id: self.jobs[new.id] for new in new_jobs if new.id in self.jobs}
        nonces = {(new.id, new.nonce) for new in new_jobs}
        stored = {id: (job.get("nonce", ""), job.get("incarnation", "0")) for id, job in found.items()}
        return {id: facts for id, facts in stored.items() if (id, facts[0]) in nonces}

    def _store(self, new: NewJob, word: str, queue: str) -> None:
        old = self.jobs.get(new.id)
        fields = list(map(str, new.fields))
        job = {"queue": queue, "status": word, **dict(zip(fields[::2], fields[1::2], strict=True))}
        job |= {"nonce": new.nonce} if new.nonce else {}
        job["enqueued_at" if word == "queued" else "created_at"] = SOME_TIME
        if old is None:  # whatever there was is forgotten, and a repeated call begins anew
            self.outcomes = {outcome for outcome in self.outcomes if outcome[0] != new.id}
        else:
            again = old["status"] != "created"
            job |= {
                "incarnation": str(int(old.get("incarnation", 0)) + again),
                "fence": str(self._fence(old)),
            }
            self._unfile(new.id)
            self._forget(new.id)
        self.jobs[new.id] = job
        if word == "created":
            self.until[f"job:{new.id}"] = self.now + DAY_MS
        elif word == "scheduled":
            self._schedule(new.id, new.delay_ms)
        else:
            self._wait(new.id, front=new.mode == "front")
            if new.ttl_ms is not None:
                self.expiring[new.id] = queue, self.now + new.ttl_ms

    def cancel(self, job_id: str, mode: str, nonce: str) -> list[str]:
        if nonce in self.answers:
            return self.answers[nonce].splitlines()
        status = self.status(job_id)
        if status is None:
            return ["missing"]
        job = self.jobs[job_id]
        if status == "started" and mode != "quarantine":
            job["request"] = mode
            return self._answer(nonce, ["ok", "started"])
        if mode == "stop" or status not in {"created", *WAITING}:
            return ["wrong_status", status]
        ended_as = "canceled" if mode == "cancel" else "failed"
        if mode == "quarantine":
            job |= {"exc_info": "E: m", "error_type": "E", "error_message": "m"}
        self.queues |= {job["queue"]} if status == "created" else set()
        self.expiring.pop(job_id, None)
        self.until.pop(f"job:{job_id}", None)
        self._end(job_id, ended_as, self._kept(job_id, ended_as))
        return self._answer(nonce, ["ok", ended_as])

    def requeue(self, job_ids: Sequence[str], nonce: str, front: bool) -> list[str]:
        if nonce in self.answers:
            return self.answers[nonce].splitlines()
        words: list[str] = []
        for job_id in job_ids:
            status = self.status(job_id)
            if status in ENDED:
                self._requeue(job_id, front)
            words.append("missing" if status is None else "ok" if status in ENDED else status)
        return self._answer(nonce, words)

    def _requeue(self, job_id: str, front: bool) -> None:
        job = self.jobs[job_id]
        times = [job.get("started_at", ""), job["ended_at"]]
        error = [job.get("error_type", ""), job.get("error_message", "")]
        value = job.get("exc_info") or self.results.get(job_id, "")
        self._remember(job_id, job["status"], *times, self._worker(job), *error, value)
        job["fence"] = str(self._fence(job))
        self._drop(
            job_id, "started_at", "ended_at", "worker_name", "token", "settled", "request", "place", "lost"
        )
        self._drop(job_id, "exc_info", "error_type", "error_message", "attempts", "releases", "misses")
        self.results.pop(job_id, None)
        for key in ("job", "result", "history"):
            self.until.pop(f"{key}:{job_id}", None)
        job |= {"enqueued_at": SOME_TIME, "incarnation": str(int(job.get("incarnation", 0)) + 1)}
        self._wait(job_id, front=front)
        if "ttl" in job:
            self.expiring[job_id] = job["queue"], self.now + int(job["ttl"])
        self.queues.add(job["queue"])
        self.wake(job["queue"])

    def delete(self, job_ids: Sequence[str], nonce: str, registry: str) -> list[str]:
        if nonce in self.answers:
            return self.answers[nonce].splitlines()
        words: list[str] = []
        for job_id in job_ids:
            status = self.status(job_id)
            lies_in = REGISTRY_OF.get(JobStatus(status), "") if status else ""
            if status is None:
                words.append("missing")
            elif status == "started" or (registry and lies_in != registry):
                words.append(status)
            else:
                self.filed.pop(job_id, None)
                self.expiring.pop(job_id, None)
                self._forget(job_id)
                words.append("ok")
        return self._answer(nonce, words)

    def amend(self, job_id: str, meta: str, token: str) -> list[str]:
        if self.status(job_id) is None:
            return ["missing"]
        job = self.jobs[job_id]
        if token and (job["status"], job.get("token")) != ("started", token):
            return ["lost"]
        job["meta"] = meta
        return ["ok"]

    def pause(self, queue: str, paused: bool) -> None:
        if paused:
            self.paused.add(queue)
            self.awake.discard(queue)
            self.queues.add(queue)
        else:
            self.paused.discard(queue)
            self.awake.add(queue)

    def drop(self, queue: str) -> bool:
        registries = {*REGISTRY_OF.values()}
        if any(self.listed(registry, queue) for registry in registries):
            return False
        for names in (self.queues, self.paused, self.awake):
            names.discard(queue)
        for total in [total for total in self.totals if total[0] == queue]:
            del self.totals[total]
        return True

    # -- workers

    def claim(
        self, queues: Sequence[str], worker: str, name: str, nonce: str, limit: int
    ) -> tuple[list[tuple[str, str]], float | None, bool]:
        """The leases as (id, token), the time until the next scheduled job is due, whether more is left."""
        record = self.workers.get(worker, {})
        is_replay = record.get("claim") == nonce
        is_new = int(record.get("claim", 0)) < int(nonce)
        taken: list[tuple[str, str]] = []
        if is_replay:
            words = record["claimed"].split()
            tokens = {id: self.jobs.get(id, {}).get("token", "") for id in words}
            held = {id: token for id, token in tokens.items() if token.startswith(f"{worker}:{nonce}:")}
            taken = [(id, token) for id, token in held.items() if self._runs_under(id, token)]
        next_due, more = FOREVER, False
        for queue in queues:
            self._promote(queue)
            if queue in self.paused:
                continue
            if is_new and not more:
                taken += self._take(queue, worker, name, nonce, limit - len(taken))
            if self.listed("queue", queue):
                more = True
                self.wake(queue)
            else:
                self.awake.discard(queue)
            next_due = min([next_due, *(self._due(id) for id in self.listed("scheduled", queue))])
        if is_new:
            claimed = " ".join(id for id, _ in taken)
            self.workers[worker] = record | {"claim": nonce, "claimed": claimed, "lease": str(LEASE)}
            if "claim" not in record:
                self.until[f"worker:{worker}"] = self.now + 4 * LEASE + 60 * MINUTE
        return taken, None if next_due == FOREVER else max(0, next_due - self.now), more

    def _take(self, queue: str, worker: str, name: str, nonce: str, slots: int) -> list[tuple[str, str]]:
        taken: list[tuple[str, str]] = []
        for job_id in self.listed("queue", queue)[:slots]:
            job = self.jobs[job_id]
            _, _, place = self.filed[job_id]
            _, deadline = self.expiring.pop(job_id, ("", FOREVER))
            if deadline <= self.now:
                self._expire(job_id)
                continue
            assert isinstance(place, tuple)
            self.places[job_id] = place
            token = f"{worker}:{nonce}:{self._fence(job) + 1}"
            job |= {"status": "started", "token": token, "started_at": SOME_TIME, "place": "place"}
            job |= {"worker_name": name} if name != worker else {}
            self._file(job_id, "started", queue, self.now + LEASE)
            taken.append((job_id, token))
        return taken

    def promote(self, queues: Sequence[str]) -> bool:
        for queue in queues:
            if self._promote(queue):
                self.wake(queue)
        return False

    def settle(self, ended: Sequence[tuple[Lease, Outcome]]) -> list[str]:
        """What is asked of a lease counts as it was before the call."""
        words = ["" if self.holds(lease) else self._word(lease, outcome) for lease, outcome in ended]
        for number, (lease, outcome) in enumerate(ended):
            if self.holds(lease):
                self._settle(lease, outcome)
            words[number] = words[number] or self._word(lease, outcome)
        return words

    def _word(self, lease: Lease, outcome: Outcome) -> str:
        job = self.jobs.get(lease.job_id, {})
        if lease.token not in (job.get("token"), job.get("settled")):
            return "lost"
        ended_instead = job["status"] in {"canceled", "stopped"} and job.get("token") == lease.token
        return job["status"] if ended_instead and isinstance(outcome, Retried | Released) else "ok"

    def _settle(self, lease: Lease, outcome: Outcome) -> None:
        job_id, job = lease.job_id, self.jobs[lease.job_id]
        match outcome:
            case Finished(result):
                self._finish(job_id, result, lease.record.result_ttl)
            case Retried() | Released() if "request" in job:
                self._close(job_id, "stopped" if job["request"] == "stop" else "canceled")
            case Failed() as error:
                self._close(job_id, "failed", error)
            case Stopped():
                self._close(job_id, "stopped")
            case Canceled():
                self._close(job_id, "canceled")
            case Retried() | Released():
                self._run_again(job_id, outcome)

    def _finish(self, job_id: str, result: bytes | None, keep: int) -> None:
        if keep == 0:
            self._bury(job_id)
            return
        self._drop(job_id, "request")
        self._end(job_id, "finished", keep)
        if result:
            self.results[job_id] = result.decode()
            if keep > 0:
                self.until[f"result:{job_id}"] = self.now + keep

    def _bury(self, job_id: str) -> None:
        """A tombstone for a minute, which only replays see."""
        self._note_outcome(job_id, "finished")
        job = self.jobs[job_id]
        kept = {"nonce": "", "incarnation": "0", **job}
        kept = {name: kept[name] for name in ("token", "nonce", "queue", "incarnation")}
        del self.filed[job_id]
        self._forget(job_id)
        self.jobs[job_id] = kept | {"status": "finished", "gone": "1"}
        self.until[f"job:{job_id}"] = self.now + MINUTE

    def _close(self, job_id: str, status: str, error: Failed | None = None) -> None:
        if error is not None:
            facts = {"exc_info": error.traceback, "error_type": error.type, "error_message": error.message}
            self.jobs[job_id] |= facts
        self._drop(job_id, "request")
        self._end(job_id, status, self._kept(job_id, status))

    def _run_again(self, job_id: str, outcome: Retried | Released) -> None:
        job = self.jobs[job_id]
        if isinstance(outcome, Retried):
            counter, error = "attempts", outcome.error
            parts = self._worker(job), error.type, error.message, error.traceback
            self._remember(job_id, "retried", job["started_at"], SOME_TIME, *parts)
        else:
            counter = "misses" if outcome.unknown else "releases"
        job |= {counter: str(int(job.get(counter, 0)) + 1), "settled": job["token"]}
        self._drop(job_id, "token", "started_at", "worker_name")
        if outcome.delay_ms:
            self._schedule(job_id, outcome.delay_ms)
        else:
            self._wait(job_id, front=isinstance(outcome, Released))
        self.wake(job["queue"])

    def extend(self, leases: Sequence[Lease], worker: str) -> tuple[list[str], dict[str, str]]:
        if self._is_silent():
            self.hold = self.now + LEASE
        self.heartbeat = self.now
        held = [lease.job_id for lease in leases if self.holds(lease)]
        for job_id in held:
            self._file(job_id, "started", self.jobs[job_id]["queue"], self.now + LEASE)
        asked = {id: self.jobs[id]["request"] for id in held if "request" in self.jobs[id]}
        beat = {"heartbeat": SOME_TIME, "lease": str(LEASE), "host": "here"}
        self.workers[worker] = self.workers.get(worker, {}) | beat
        self.beating[worker] = self.now + 4 * LEASE
        self.until[f"worker:{worker}"] = self.beating[worker] + 60 * MINUTE
        return [lease.job_id for lease in leases if not self.holds(lease)], asked

    def leave(self, worker: str) -> None:
        self.workers.pop(worker, None)
        self.beating.pop(worker, None)
        self.until.pop(f"worker:{worker}", None)

    # -- maintenance

    def recover(self, queues: Sequence[str]) -> tuple[dict[str, str], bool]:
        """Job id -> its status now, and whether recovery waits."""
        if self._is_silent():
            self.heartbeat, self.hold = self.now, self.now + LEASE
            return {}, True
        if self.hold > self.now:
            self.hold = self.hold if self.hold <= self.now + 2 * LEASE else self.now + LEASE
            return {}, True
        recovered: dict[str, str] = {}
        for queue in queues:
            for job_id in self.listed("started", queue):
                if self._due(job_id) > self.now + 2 * LEASE:
                    self._file(job_id, "started", queue, self.now + LEASE)
            late = [id for id in self.listed("started", queue) if self._due(id) < self.now]
            for number, job_id in enumerate(late, 1):
                recovered[job_id] = self._lose(job_id, number / len(late))
            if late:
                self.wake(queue)
        return recovered, False

    def _lose(self, job_id: str, share: float) -> str:
        job = self.jobs[job_id]
        lost = int(job.get("lost", 0)) + 1
        job["lost"] = str(lost)
        self.totals[job["queue"], "lost"] += 1
        worker, request = self._worker(job), job.get("request")
        job["fence"] = str(self._fence(job))
        self._drop(job_id, "token", "request")
        if request is None and lost <= int(job.get("max_lost", DEFAULT_MAX_LOST)):
            self._drop(job_id, "started_at", "worker_name")
            if lost == 1:
                self._wait(job_id, place=self.places[job_id])
            else:
                self._schedule(job_id, math.ceil(2**lost * 1000 * share))
        elif request is None:
            message = f"its worker disappeared {lost} times while it ran, last {worker}"
            self._close(
                job_id, "failed", Failed("AbandonedJobError", message, f"AbandonedJobError: {message}")
            )
        else:
            self._close(job_id, "stopped" if request == "stop" else "canceled")
        return job["status"]

    def prune(self, queues: Sequence[str]) -> bool:
        for queue in queues:
            for job_id in self.overdue("queue", queue):
                del self.expiring[job_id]
                self._expire(job_id)
            for registry in TIMED:
                for job_id in self.overdue(registry, queue):
                    if self.leftover.pop((registry, queue, job_id), None) is None:
                        del self.filed[job_id]
                        self._forget(job_id)
        self.beating = {worker: end for worker, end in self.beating.items() if end > self.now}
        return False
