"""Functions that `@job` decorates, as a program's module of jobs has them."""

from __future__ import annotations

import os

from aqueue import Retry, get_current_job, job


@job("mail", timeout="1h", result_ttl=60, retry=Retry(max=2), meta={"by": "decorator"}, priority=5)
async def send(to: str, *, subject: str = "") -> str:
    """Send a mail."""
    current = get_current_job()
    return f"{subject} to {to} as {current.id if current else 'a call'}"


@job("sums")
def add(a: int, b: int) -> int:
    return a + b


@job("sums")
def own_names(ttl: int, timeout: int) -> int:
    return ttl + timeout


class Holder:
    @staticmethod
    def plain() -> str:
        return "plain"


@job("sums")
def add_one(a: int) -> int:
    return add(a, 1)


@job("sums", executor="process")
def process_id() -> int:
    return os.getpid()


@job("sums", executor="process")
async def async_process_id() -> int:
    return os.getpid()
