"""A Redis that is not local: what is needed before its data may run code here, and how that is told."""

from __future__ import annotations

import os

from aqueue._core.names import _shown
from aqueue.errors import SettingsError

#: What makes decoding safe.
WAYS_TO_DECODE = 'serializer="json" (AQUEUE_SERIALIZER=json)'
#: What makes running safe that decodes safely.
WAYS_TO_RUN = 'allow=["your.tasks"] (aqueue worker --allow your.tasks)'

_NO = frozenset({"", "0", "no", "false", "off"})
_YES = frozenset({"1", "yes", "true", "on"})


def check_trust(given: bool | None) -> bool:
    """Whether everybody who can write to Redis may run code here; None: as AQUEUE_TRUST_REDIS says.

    Raises:
        SettingsError: Neither yes nor no.
    """
    if isinstance(given, bool):
        return given
    if given is not None:
        raise SettingsError(f"trust_redis={_shown(given)} must be True or False")
    word = os.environ.get("AQUEUE_TRUST_REDIS", "").strip().lower()
    if word not in _NO | _YES:
        raise SettingsError(f"AQUEUE_TRUST_REDIS={_shown(word)} must be 1 or 0")
    return word in _YES


def refusal(shown: str, instead: str) -> str:
    """Why a Redis is refused, and the line to add."""
    return (
        f"{shown} is not on this machine, and whoever can write to it could run code here: give signing_key= "
        f"(AQUEUE_SIGNING_KEY), or {instead}, or, if all of them are trusted, trust_redis=True "
        "(AQUEUE_TRUST_REDIS=1)"
    )
