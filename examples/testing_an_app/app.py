"""A small app: who signs up gets a mail at once and another one a week later. See test_app.py."""

from tasks import send_mail

from aqueue import Queue, Retry

mails = Queue("mails")  # AQUEUE_URL says where; during a test it is in the test's own namespace


async def sign_up(address: str) -> None:
    await mails.enqueue(send_mail, address, "Welcome", retry=Retry(max=3, interval="1m"))
    await mails.enqueue_in("7d", send_mail, address, "How is it going?", job_id=f"reminder:{address}")


async def leave(address: str) -> None:
    reminder = await mails.fetch_job(f"reminder:{address}")
    if reminder is not None and reminder.is_scheduled:
        await reminder.cancel()
