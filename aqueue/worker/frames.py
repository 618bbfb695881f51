"""What a worker and its child processes send each other: a small JSON object, and bytes along with it."""

from __future__ import annotations

import json
import struct
from typing import Any

from aqueue._core.options import LARGEST_JOB_BYTES

#: A message: its `kind` and what belongs to it, and its bytes.
Frame = tuple[dict[str, Any], bytes]

#: The lengths of both.
LENGTHS = struct.Struct(">II")
_LARGEST_HEAD = 4 * 1_048_576
_LARGEST_BLOB = LARGEST_JOB_BYTES + 1_048_576


def pack(head: dict[str, Any], blob: bytes = b"") -> bytes:
    """A message as it is sent."""
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(blob)) + text + blob


def lengths(data: bytes) -> tuple[int, int]:
    """The lengths of the two parts that follow.

    Raises:
        ValueError: No message of ours is that long.
    """
    head, blob = LENGTHS.unpack(data)
    if head > _LARGEST_HEAD or blob > _LARGEST_BLOB:
        raise ValueError("no frame")
    return head, blob


def unpack(data: bytes, head: int) -> Frame:
    """A message from its two parts, of which the first has `head` bytes.

    Raises:
        ValueError: It is damaged.
    """
    return dict(json.loads(data[:head])), data[head:]
