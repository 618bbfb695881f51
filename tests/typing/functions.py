"""Functions whose calls are type-checked; nothing runs them."""

from __future__ import annotations

from aqueue import job


async def send(to: str, subject: str = "", tries: int = 1) -> int:
    return len(to + subject) * tries


def add(a: int, b: int) -> str:
    return str(a + b)


async def nothing() -> None: ...


@job("mail", timeout="3m", result_ttl=-1)
async def mail(to: str, subject: str = "") -> int:
    return len(to + subject)


@job("sums", retry=3)
def double(number: int, *, times: int = 1) -> float:
    return 2.0**times * number


class Account:
    async def close(self, reason: str) -> bytes:
        return reason.encode()

    def rename(self, name: str) -> bytes:
        return name.encode()
