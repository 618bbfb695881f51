"""`Seal`: what is signed, and what is verified before it is believed.

A call is signed with everything that enqueue fixes, a result with the job's id and the nonce of its enqueue,
a meta with the id, as it may change without an enqueue. Results and meta carry their signature in front,
wherever the scripts move them. Whoever can write to Redis can still run a signed job again, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aqueue._core.record import CHANGING, JobRecord
from aqueue._core.signing import SIZE, Keyring
from aqueue.errors import BadSignature

#: What a signed result or meta begins with; no pickle and no JSON does.
MARK = b"\xffaqsig1\xff"
_HEAD = len(MARK) + SIZE

_NO_KEY = "is signed, and this program has no signing key: set AQUEUE_SIGNING_KEY, or give signing_key="
_UNSIGNED = "is not signed, and this program has a signing key: its writer needs the same AQUEUE_SIGNING_KEY"
_MISFIT = "has a signature that does not fit: it was changed or copied, or its signing key is unknown here"


@dataclass(frozen=True, slots=True)
class Seal:
    """The signatures of one namespace: nothing can be moved to another one."""

    namespace: str
    #: None: nothing is signed.
    keys: Keyring | None

    def sign(self, record: JobRecord, **placed: str | None) -> bytes | None:
        """The signature of a job that is about to be enqueued, with these fields; None without keys."""
        return None if self.keys is None else self.keys.sign(*self._call(record.evolve(**placed)))

    def verified(self, record: JobRecord) -> JobRecord:
        """The record, trusted from here on; without keys as it is.

        Raises:
            BadSignature: Its signature does not fit, is missing, or cannot be verified without a key.
        """
        if record.is_trusted or (self.keys is None and b"sig" not in record.fields):
            return record
        what, signature = f"job {record.id!r}", record.signature
        if self.keys is None:
            raise BadSignature(f"{what} {_NO_KEY}")
        if signature is None:
            raise BadSignature(f"{what} {_UNSIGNED}")
        if not self.keys.fits(signature, *self._call(record)):
            raise BadSignature(f"{what} {_MISFIT}")
        return JobRecord(record.id, record.fields, is_trusted=True)

    def _call(self, record: JobRecord) -> list[bytes]:
        fields = sorted(field for field in record.fields.items() if field[0] not in CHANGING)
        scope = self._scope(["call", record.id])
        return [*scope, *(part for field in fields for part in field)]

    def wrap(self, data: bytes, *scope: str) -> bytes:
        """Put the signature of `data` and what it belongs to in front; without keys it stays as it is."""
        if self.keys is None:
            return data
        return MARK + self.keys.sign(*self._scope(scope), data) + data

    def unwrap(self, data: bytes, what: str, *scope: str) -> bytes:
        """What `wrap` was given; `what` is named in the error.

        Raises:
            BadSignature: As `verified`.
        """
        is_signed = data.startswith(MARK)
        if self.keys is None:
            if is_signed:
                raise BadSignature(f"{what} {_NO_KEY}")
            return data
        if not is_signed:
            raise BadSignature(f"{what} {_UNSIGNED}")
        signature, data = data[len(MARK) : _HEAD], data[_HEAD:]
        if not self.keys.fits(signature, *self._scope(scope), data):
            raise BadSignature(f"{what} {_MISFIT}")
        return data

    def _scope(self, scope: Sequence[str]) -> list[bytes]:
        return [part.encode() for part in ("aqueue 1", self.namespace, *scope)]
