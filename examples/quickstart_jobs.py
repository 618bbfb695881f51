"""The jobs of quickstart.py: in a file of their own, so that a worker can import them."""

import asyncio

from aqueue import get_current_job


async def greet(name: str) -> str:
    """Runs as an asyncio task; hundreds of these wait at the same time."""
    await asyncio.sleep(0.1)
    return f"Hello, {name}!"


def count_letters(text: str) -> dict[str, int]:
    """Runs in a thread."""
    return {letter: text.count(letter) for letter in sorted(set(text))}


async def divide(a: float, b: float) -> float:
    """Fails for b = 0, and says on which job."""
    job = get_current_job()
    assert job is not None
    job.meta["dividend"] = a
    await job.save_meta()
    return a / b
