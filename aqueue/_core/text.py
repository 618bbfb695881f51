"""Text from elsewhere made harmless."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    r"""The text with control characters, and others that cannot be seen, as escapes: `\x1b`.

    What comes from Redis, from jobs or from file names could otherwise write to the terminal as it likes.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )
