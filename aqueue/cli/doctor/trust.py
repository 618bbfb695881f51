"""Judge who could run code here by writing to Redis, by the settings that this command was given; no I/O."""

from __future__ import annotations

from aqueue._core.serializers import runs_code
from aqueue.cli.doctor.finding import Finding
from aqueue.connection import Namespace

_KEY = (
    "AQUEUE_SIGNING_KEY, the same for all; python -c 'import secrets; print(secrets.token_hex(32))' makes one"
)


def judge_trust(space: Namespace) -> Finding:
    """What programs and workers with the settings of this one would do."""
    codec, is_local = space.codec, space.connector.source.is_local
    if codec.seal.keys is not None:
        return Finding("ok", "trust", "what is decoded is signed (AQUEUE_SIGNING_KEY)")
    if codec.refusal:
        return Finding(
            "problem", "trust", "not on this machine; pickled data, and no signing key",
            "whoever can write to it could run code in programs and workers, so they refuse to work with it",
            f"{_KEY}; or AQUEUE_SERIALIZER=json, with aqueue worker --allow your.tasks",
        )  # fmt: skip
    if is_local:
        return Finding("ok", "trust", "on this machine")
    if runs_code(codec.serializer):
        return Finding(
            "advice", "trust", "not on this machine, and trusted without a signing key (AQUEUE_TRUST_REDIS)",
            "whoever can write to it can run code in programs and workers",
            _KEY,
        )  # fmt: skip
    return Finding(
        "ok", "trust", "decoding runs no code; workers need --allow, too, to run only what is yours"
    )
