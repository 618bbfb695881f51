"""Functions whose calls are type-checked; nothing runs them."""

from __future__ import annotations


async def send(to: str, subject: str = "", tries: int = 1) -> int:
    return len(to + subject) * tries


def add(a: int, b: int) -> str:
    return str(a + b)


async def nothing() -> None: ...


class Account:
    async def close(self, reason: str) -> bytes:
        return reason.encode()

    def rename(self, name: str) -> bytes:
        return name.encode()
