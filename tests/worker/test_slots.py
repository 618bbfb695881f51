"""Which slots count as free: those of running code do not, those of outcomes on their way do."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue import Queue
from aqueue._core.outcome import Lease
from aqueue._core.record import JobRecord
from aqueue._redis.line import Line
from aqueue._redis.scripts import load
from aqueue.worker.running import Execution, Running
from tests import tasks
from tests.worker.hands import burst

_NAMES = {load(name).sha.encode(): name for name in ("claim", "settle")}


def _running(running: Running, count: int) -> list[Execution]:
    first = len(running)
    executions = [Execution(Lease(JobRecord(str(first + number), {}), "token")) for number in range(count)]
    for execution in executions:
        running.add(execution)
    return executions


def _leave(running: Running, *executions: Execution) -> None:
    for execution in executions:
        execution.is_over = True
        running.leave(execution)


def test_a_slot_is_free_once_the_outcome_is_on_its_way() -> None:
    running = Running(3)
    first, second, _ = _running(running, 3)
    assert running.free == 0

    _leave(running, first, first)
    assert running.free == 1

    running.leave(second)  # settled while its code still runs: a zombie
    assert running.free == 1
    assert first not in running.unsent
    assert second in running.unsent


def test_a_slot_is_taken_again_when_redis_refuses_the_outcome() -> None:
    running = Running(1)
    [execution] = _running(running, 1)
    _leave(running, execution)

    running.stay(execution)
    assert running.free == 0

    _leave(running, execution)
    assert running.free == 1


def test_a_recorded_outcome_frees_a_slot_once() -> None:
    running = Running(2)
    first, _ = _running(running, 2)
    _leave(running, first)
    first.is_settled = True

    running.release(first)
    running.release(first)

    assert (len(running), running.free) == (1, 1)


def test_outcomes_that_nobody_takes_are_never_more_than_twice_the_slots() -> None:
    running = Running(2)
    _leave(running, *_running(running, 2))
    assert running.free == 2

    _leave(running, *_running(running, 2))

    assert (len(running), running.free) == (4, 0)


async def test_a_claim_follows_a_settlement_without_waiting_for_its_answer(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.enqueue(tasks.add, 1, 2)
    await burst(queue)  # all scripts are loaded
    await queue.enqueue_many(Queue.prepare_data(tasks.add, (1, 2)) for _ in range(20))
    heard: list[str] = []
    send = Line.send

    def listening(self: Line, packed: bytes, count: int) -> Any:
        name = _NAMES.get([*packed.split(b"\r\n", 5), b"", b"", b"", b"", b""][4], "other")
        answer = send(self, packed, count)
        heard.append(f"{name} sent")
        answer.add_done_callback(lambda _: heard.append(f"{name} answered"))
        return answer

    monkeypatch.setattr(Line, "send", listening)
    await burst(queue, concurrency=1)

    told = " ".join(word for word in heard if not word.startswith("other"))
    assert told.count("settle sent claim sent settle answered claim answered") == 20


async def test_a_burst_ends_with_the_claim_behind_the_last_settlement(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.enqueue(tasks.add, 1, 2)
    await burst(queue)  # all scripts are loaded
    await queue.enqueue(tasks.add, 1, 2)
    claims: list[str] = []
    send = Line.send

    def counting(self: Line, packed: bytes, count: int) -> Any:
        claims.extend(_NAMES.get(part, "") for part in packed.split(b"\r\n", 5)[4:5])
        return send(self, packed, count)

    monkeypatch.setattr(Line, "send", counting)
    assert await burst(queue, concurrency=1)

    assert [name for name in claims if name] == ["claim", "settle", "claim"]
