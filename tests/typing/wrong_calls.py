"""Wrong calls: the lines marked with an E are errors for mypy and for pyright, and no others are."""

from __future__ import annotations

from datetime import datetime

from aqueue import Job, Queue, job, sync
from tests.typing.functions import Account, add, double, mail, send


async def wrong_arguments(queue: Queue, later: datetime) -> None:
    await queue.enqueue(send, 1)  # E
    await queue.enqueue(send)  # E
    await queue.enqueue(send, "anna", 3)  # E
    await queue.enqueue(send, "anna", subjekt="hello")  # E
    await queue.enqueue(add, 1, "2")  # E
    await queue.enqueue(add, 1, 2, 3)  # E
    await queue.enqueue(Account().close, 7)  # E
    await queue.enqueue(7)  # E
    await queue.enqueue_in(60, send, 1)  # E
    await queue.enqueue_at(later, add, 1)  # E


async def wrong_options(queue: Queue) -> None:
    await queue.enqueue(send, "anna", ttl=[5])  # E
    await queue.enqueue(send, "anna", retry="3")  # E
    await queue.enqueue(add, 1, ttl=5)  # E
    await queue.enqueue(add, 1, "2", ttl=5)  # E
    await queue.enqueue(send, "anna", tries=2, ttl=5)  # E
    await queue.enqueue(send, args=("anna",), tll=5)  # E
    queue.options(tll=5)  # E
    queue.options(priority="high")  # E


async def wrong_arguments_apart_from_options(queue: Queue, later: datetime) -> None:
    await queue.options(ttl=5).enqueue(send, 1)  # E
    await queue.options(ttl=5).enqueue(add, 1, 2, ttl=5)  # E
    await queue.options(ttl=5).enqueue_in(60, add, 1)  # E
    await queue.options(ttl=5).enqueue_at(later, add)  # E


async def wrong_times(queue: Queue) -> None:
    await queue.enqueue_in([1], send, "anna")  # E
    await queue.enqueue_at("tomorrow", send, "anna")  # E


def wrong_data_for_many() -> None:
    Queue.prepare_data(add, (1,))  # E
    Queue.prepare_data(add, (1, "2"))  # E
    Queue.prepare_data(add)  # E
    Queue.prepare_data(add, (1, 2), tll=5)  # E


async def wrong_results(queue: Queue) -> None:
    sent = await queue.enqueue(send, "anna")
    text: str = await sent.wait()  # E
    narrower: Job[bool] = sent  # E
    print(text, narrower)


async def wrong_calls_of_decorated_functions(queue: Queue) -> None:
    await mail(1)  # E
    await mail.delay(1)  # E
    await mail.delay("anna", ttl=5)  # E
    await double.delay()  # E
    await double.delay(1, job_id="a")  # E
    await mail.options(tll=5).delay("anna")  # E
    await mail.options(ttl=5).delay(1)  # E
    await queue.enqueue(mail, 1)  # E
    await queue.enqueue(double, 1, times="2")  # E
    text: str = await (await mail.delay("anna")).wait()  # E
    print(text)


def wrong_decorators() -> None:
    job()  # E
    job(send)  # E
    job("mail", job_id="a")  # E
    job("mail", timeout=[5])  # E
    job("mail", tll=5)  # E


def wrong_calls_without_await(queue: sync.Queue) -> None:
    queue.enqueue(send, 1)  # E
    queue.enqueue(add, 1, ttl=5)  # E
    queue.enqueue_in(60, add, 1)  # E
    queue.options(tll=5)  # E
    queue.options(ttl=5).enqueue(add, 1)  # E
    text: str = queue.enqueue(send, "anna").wait()  # E
    sync.job("mail")(send).delay(1)  # E
    sync.job(Queue())  # E
    print(text)
