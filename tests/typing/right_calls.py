"""Right calls and the types they have; mypy and pyright must both agree. Nothing runs this."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_type

from aqueue import Job, Queue, Retry, get_current_job, job, sync
from tests.typing.functions import Account, add, double, mail, nothing, send


async def arguments_are_the_functions_own(queue: Queue) -> None:
    assert_type(await queue.enqueue(send, "anna"), Job[int])
    assert_type(await queue.enqueue(send, "anna", subject="hello"), Job[int])
    assert_type(await queue.enqueue(send, to="anna", tries=2), Job[int])
    assert_type(await queue.enqueue(add, 1, b=2), Job[str])
    assert_type(await queue.enqueue(nothing), Job[None])
    assert_type(await queue.enqueue(Account().close, "moved"), Job[bytes])
    assert_type(await queue.enqueue(Account.rename, Account(), "anna"), Job[bytes])


async def options_stand_beside_positional_arguments(queue: Queue, later: datetime) -> None:
    assert_type(await queue.enqueue(send, "anna", ttl=5), Job[int])
    assert_type(await queue.enqueue(add, 1, 2, job_id="a", retry=Retry(max=3)), Job[str])
    assert_type(await queue.enqueue(Account().close, "moved", meta={"by": 7}), Job[bytes])
    assert_type(await queue.enqueue_in("5m", send, "anna"), Job[int])
    assert_type(await queue.enqueue_in(timedelta(hours=1), add, 1, 2, result_ttl="1d"), Job[str])
    assert_type(await queue.enqueue_at(later, send, "anna", subject="hello"), Job[int])
    assert_type(await queue.enqueue_at(later, add, 1, 2, priority=5), Job[str])


async def rqs_form_takes_any_arguments(queue: Queue) -> None:
    assert_type(await queue.enqueue(send, args=("anna",), kwargs={"tries": 2}, ttl=5), Job[int])
    assert_type(await queue.enqueue(add, args=[1, 2]), Job[str])
    assert_type(await queue.enqueue(add, kwargs={"a": 1, "b": 2}, job_timeout=-1), Job[str])
    assert_type(await queue.enqueue_in(60, send, args=("anna",)), Job[int])


async def names_take_any_arguments(queue: Queue, later: datetime) -> None:
    assert_type(await queue.enqueue("app.send", 1, b=2, ttl=5), Job[Any])
    assert_type(await queue.enqueue_in(60, "app.send", 1), Job[Any])
    assert_type(await queue.enqueue_at(later, "app.send", 1), Job[Any])


async def options_apart(queue: Queue, later: datetime) -> None:
    bound = queue.options(ttl=60, job_timeout="3m", at_front=True)
    assert_type(await bound.enqueue(send, "anna", subject="hello"), Job[int])
    assert_type(await bound.enqueue_in(60, add, 1, b=2), Job[str])
    assert_type(await bound.enqueue_at(later, "app.send", 1), Job[Any])


async def many(queue: Queue) -> None:
    datas = [
        Queue.prepare_data(send, ("anna",), job_id="a"),
        Queue.prepare_data(add, (1, 2), timeout="3m"),
        Queue.prepare_data(add, (1,), {"b": 2}),
        Queue.prepare_data(add, kwargs={"a": 1, "b": 2}, ttl=5),
        Queue.prepare_data(nothing),
        Queue.prepare_data("app.send", [1, 2]),
    ]
    assert_type(await queue.enqueue_many(datas), list[Job[Any]])


async def a_wider_result(job: Job[object]) -> object:
    return await job.wait()


async def a_job_knows_its_result(queue: Queue) -> None:
    sent = await queue.enqueue(send, "anna")
    assert_type(await sent.wait(timeout=5), int)
    assert_type(await sent.return_value(), int | None)
    assert_type(sent.result, int | None)
    assert_type(await queue.enqueue_job(sent), Job[int])
    assert_type(await a_wider_result(sent), object)
    assert_type(get_current_job(), Job[Any] | None)


async def decorated_functions(queue: Queue) -> None:
    assert_type(await mail("anna", subject="hello"), int)
    assert_type(double(1, times=2), float)
    assert_type(await mail.delay("anna", subject="hello"), Job[int])
    assert_type(await double.delay(1, times=2), Job[float])
    assert_type(await mail.options(job_id="a", ttl=5).delay("anna"), Job[int])
    assert_type(await double.options(at_front=True).delay(1, times=2), Job[float])
    assert_type(await queue.enqueue(mail, "anna", subject="hello"), Job[int])
    assert_type(await queue.enqueue(double, 1, times=2), Job[float])
    assert_type(await queue.enqueue(mail, "anna", ttl=5), Job[int])
    assert_type(await queue.enqueue_in(60, mail, "anna", job_id="a"), Job[int])
    Queue.prepare_data(mail, ("anna",), job_id="a")
    job(queue, timeout=5)(send)


def calls_without_await(queue: sync.Queue, later: datetime) -> None:
    assert_type(queue.enqueue(send, "anna", subject="hello"), sync.Job[int])
    assert_type(queue.enqueue(add, 1, 2, ttl=5), sync.Job[str])
    assert_type(queue.enqueue(add, args=[1, 2]), sync.Job[str])
    assert_type(queue.enqueue("app.send", 1), sync.Job[Any])
    assert_type(queue.enqueue_in(60, mail, "anna"), sync.Job[int])
    assert_type(queue.enqueue_at(later, add, 1, 2), sync.Job[str])
    assert_type(queue.options(ttl=60).enqueue(send, "anna", subject="hello"), sync.Job[int])
    assert_type(queue.enqueue_many([sync.Queue.prepare_data(add, (1, 2))]), list[sync.Job[Any]])
    sent = queue.enqueue(send, "anna")
    assert_type(sent.wait(timeout=5), int)
    assert_type(sent.result, int | None)
    assert_type(sync.job("mail")(send).delay("anna", subject="hello"), sync.Job[int])
    assert_type(sync.job(queue)(add).options(ttl=5).delay(1, b=2), sync.Job[str])
