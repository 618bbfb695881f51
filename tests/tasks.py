"""Jobs that tests enqueue."""

from __future__ import annotations

import asyncio


async def add(a: int, b: int) -> int:
    return a + b


def div_by_zero(x: float) -> float:
    return x / 0


async def nap(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


def say_hello(name: str = "world") -> str:
    return f"Hello, {name}!"
