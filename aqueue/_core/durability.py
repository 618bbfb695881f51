"""How safe an enqueued job must be before the call returns: "local", "replicated:N" or "fsync"."""

from __future__ import annotations

import re

from aqueue._core.names import _shown
from aqueue.errors import SettingsError

#: The server has it; what becomes of it when that dies is the server's affair.
LOCAL = "local"
#: It is on the server's disk.
FSYNC = "fsync"
#: At least so many replicas have it, too.
_REPLICATED = re.compile(r"replicated:([1-9][0-9]{0,2})")


def check_durability(value: object) -> str | None:
    """A durability as users give it; None: where nothing more special is said, local.

    Raises:
        SettingsError: There is no such durability.
    """
    if value is None or value in (LOCAL, FSYNC) or (isinstance(value, str) and _REPLICATED.fullmatch(value)):
        return value  # pyright: ignore[reportReturnType]
    raise SettingsError(f'durability={_shown(value)} must be "local", "replicated:N" or "fsync"')
