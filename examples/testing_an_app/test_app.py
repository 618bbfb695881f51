"""The tests of app.py: on a real server that starts by itself, without a worker process and without waiting.

cd examples/testing_an_app && pytest        # after: pip install "aqueue[embedded]" pytest
"""

import pytest
from app import leave, mails, sign_up
from tasks import outbox, send_mail

from aqueue import JobFailed, Worker
from aqueue.testing import assert_enqueued, inline, refute_enqueued, run_burst, time_travel

pytestmark = pytest.mark.anyio  # or pytest-asyncio's mark: the fixtures work under both


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _own_namespace(aqueue_namespace: str) -> None:
    outbox.clear()


async def test_who_signs_up_gets_a_mail_and_another_one_later() -> None:
    await sign_up("ada@example.org")
    await assert_enqueued(mails, send_mail, ["ada@example.org", "Welcome"])
    await run_burst(mails)
    assert outbox == ["Welcome -> ada@example.org"]
    await time_travel(mails, "7d")
    assert (await run_burst(mails)).finished == 1
    assert outbox[1:] == ["How is it going? -> ada@example.org"]


async def test_who_leaves_is_not_reminded() -> None:
    await sign_up("ada@example.org")
    await leave("ada@example.org")
    await refute_enqueued(mails, send_mail, status="scheduled")


async def test_a_wrong_address_is_tried_again_and_fails() -> None:
    await sign_up("nobody")
    for _ in range(3):
        assert (await run_burst(mails)).retried == 1
        await time_travel(mails, "1m")
    with pytest.raises(JobFailed, match="'nobody' is no address"):
        await run_burst(mails)


async def test_where_the_jobs_do_not_matter_they_run_at_once() -> None:
    with inline():
        await sign_up("ada@example.org")
    assert outbox == ["Welcome -> ada@example.org"]


async def test_with_a_worker_that_runs_all_the_time() -> None:
    async with Worker(mails).running():
        await sign_up("ada@example.org")
        await assert_enqueued(mails, send_mail, status="finished", within=10)
