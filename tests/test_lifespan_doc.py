"""docs/lifespan-and-middleware.md: each of its samples is a module that runs and does what the page says."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aqueue import JobFailed, Queue, Worker
from tests import tasks
from tests.servers import Server
from tests.support import wait_until

PAGE = Path(__file__).parent.parent / "docs/lifespan-and-middleware.md"


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a sample by the name in its first line."""
    names: list[str] = []
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        names.append(block.splitlines()[0].removeprefix("# ").removesuffix(".py"))
        (tmp_path / f"{names[-1]}.py").write_text(block)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


async def test_jobs_share_what_the_lifespan_opened(
    queue: Queue, sample: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", server.url)
    with server.client() as client:
        client.set("price:apple", 1.5)
    async with Worker(queue, lifespan=sample("shop").lifespan).running():
        job = await queue.enqueue("shop.price_of", "apple")
        assert await job.wait(10) == 1.5


async def test_middleware_measures_and_reports(
    queue: Queue, sample: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobs")
    around = sample("around")
    async with Worker(queue, middleware=[around.measure, around.report_errors]).running():
        job = await queue.enqueue(tasks.div_by_zero, 1)
        with pytest.raises(JobFailed):
            await job.wait(10)

    told = [record.getMessage() for record in caplog.records if record.name == "jobs"]
    assert told[0].startswith(f"{job.id} of queue default raised ZeroDivisionError(")
    assert re.fullmatch(r"tests.tasks.div_by_zero took 0\.\d{3} s", told[1])


async def test_house_rules_change_and_refuse(url: str, sample: Any) -> None:
    mail = Queue("mail", middleware=[sample("rules").house_rules])

    job = await mail.enqueue("app.send", to="ada@example.org")
    assert (job.ttl, job.meta) == (3600, {"source": "shop"})
    assert (await mail.options(ttl=5).enqueue("app.send", to="ada@example.org")).ttl == 5
    with pytest.raises(ValueError, match="needs a recipient"):
        await mail.enqueue("app.send")


async def test_a_trace_goes_on_inside_the_job(url: str, sample: Any) -> None:
    tracing = sample("tracing")
    queue = Queue("default", middleware=[tracing.send_trace])
    async with Worker(queue, middleware=[tracing.take_trace]).running():
        tracing.trace_id.set("4bf92f35")
        job = await queue.enqueue("tracing.which_trace")
        tracing.trace_id.set("another")
        assert await job.wait(10) == "4bf92f35"


async def test_who_works_is_listed(queue: Queue, sample: Any) -> None:
    async with Worker(queue, name="anna").running():
        [line] = await wait_until(sample("who").who_works)

    assert re.fullmatch(r"anna on \S+: idle, 0 finished, runs nothing", line)


def test_every_sample_is_run() -> None:
    names = re.findall(r"```python\n# (\w+)\.py\n", PAGE.read_text("utf-8"))

    assert names == ["shop", "around", "rules", "tracing", "who"]
    assert PAGE.read_text("utf-8").count("```python\n") == len(names)
