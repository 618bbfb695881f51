"""The jobs of app.py, in a module that its worker imports, too."""

#: What was sent. A real program would talk to a mail server.
outbox: list[str] = []


async def send_mail(address: str, subject: str) -> None:
    if "@" not in address:
        raise ValueError(f"{address!r} is no address")
    outbox.append(f"{subject} -> {address}")
