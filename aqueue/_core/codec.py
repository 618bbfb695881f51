"""`Codec`: a job's arguments, result and meta as bytes and back, within bounds, and its function.

With signing keys, nothing is decoded before its signature was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aqueue._core.allowed import Allowed
from aqueue._core.functions import find_function
from aqueue._core.record import JobRecord
from aqueue._core.seal import Seal
from aqueue._core.secrets import goes_to_redis
from aqueue._core.serializers import Serializer, serializer_name
from aqueue.errors import PayloadError, SettingsError

#: Larger blobs are not decoded, unless max_job_bytes is more: in memory they take many times as much.
MAX_DECODED = 64 * 1_048_576


@dataclass(frozen=True, slots=True)
class Codec:
    """How the jobs of a namespace are written and read: the door for all that is decoded or imported."""

    serializer: Serializer
    #: The largest job, in bytes; results and meta likewise.
    max_bytes: int
    seal: Seal
    #: What may be imported; None: everything.
    allowed: Allowed | None = field(default=None, compare=False)
    #: Why nothing may be encoded or decoded; "": it may.
    refusal: str = field(default="", compare=False)

    def check_trust(self) -> None:
        """Tell early what encoding and decoding would tell.

        Raises:
            SettingsError: The Redis is not local, and whoever can write to it could run code here.
        """
        if self.refusal:
            raise SettingsError(self.refusal)

    def find_function(self, path: str) -> Callable[..., Any]:
        """Import what the path names.

        Raises:
            UnknownFunction: The module or the attribute does not exist here.
            SettingsError: It may not run here, is no import path, or names something that cannot be called.
            Exception: Whatever the module's own code raises while it is imported.
        """
        self.check_trust()
        return find_function(path) if self.allowed is None else self.allowed.find(path)

    def encode_call(self, path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The arguments of a call of the function at `path`: a list, or a dictionary with keyword arguments.

        Raises:
            PayloadError: They cannot be encoded.
        """
        call = {"args": list(args), "kwargs": dict(kwargs)} if kwargs else list(args)
        return self._encode(call, f"the arguments of {path}")

    def decode_call(self, record: JobRecord) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a job.

        Raises:
            BadSignature: See `Seal.verified`.
            PayloadError: They cannot be decoded, or are not arguments.
        """
        self.seal.verified(record)
        data = record.data
        if data is None:
            raise PayloadError(f"{_of('arguments', record)} are missing")
        call: Any = self._decode(data, "arguments", record)
        if _is_list(call):
            return tuple(call), {}
        try:
            args: Any = call["args"]
            kwargs: dict[str, Any] = dict(call["kwargs"])
            if not _is_list(args):
                raise TypeError("the positional arguments are no list")
            return tuple(args), kwargs
        except Exception as error:
            what = _of("arguments", record)
            raise PayloadError(f"{what} are neither a list nor positional and keyword arguments") from error

    def encode_result(self, record: JobRecord, value: Any) -> bytes:
        """What the function of a job returned.

        Raises:
            PayloadError: It cannot be encoded, or is over the size limit.
        """
        what = _of("result", record)
        data = self._bounded(self._encode(value, what), what)
        return self.seal.wrap(data, "result", record.id, record.nonce)

    def decode_result(self, record: JobRecord, data: bytes) -> Any:
        """A result of a job, of its last execution or of an earlier one.

        Raises:
            BadSignature: See `Seal.verified`.
            PayloadError: It cannot be decoded.
        """
        data = self.seal.unwrap(data, _of("result", record), "result", record.id, record.nonce)
        return self._decode(data, "result", record)

    def encode_meta(self, job_id: str, path: str, meta: Mapping[str, Any]) -> bytes:
        """The meta of a job of the function at `path`.

        Raises:
            SettingsError: Not a dictionary.
            PayloadError: It cannot be encoded, or is over the size limit.
        """
        if not isinstance(meta, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SettingsError(f"meta must be a dictionary, not {type(meta).__name__}")
        what = f"the meta of {path}"
        data = self._bounded(self._encode(dict(meta), what), what)
        return self.seal.wrap(data, "meta", job_id)

    def decode_meta(self, record: JobRecord) -> dict[str, Any]:
        """The meta of a job; {} where it has none.

        Raises:
            BadSignature: See `Seal.verified`.
            PayloadError: It cannot be decoded, or is no dictionary.
        """
        if record.meta is None:
            return {}
        what = _of("meta", record)
        meta = self._decode(self.seal.unwrap(record.meta, what, "meta", record.id), "meta", record)
        try:
            return dict(meta)
        except Exception as error:
            raise PayloadError(f"{what} is not a dictionary") from error

    def _bounded(self, data: bytes, what: str) -> bytes:
        if len(data) > self.max_bytes:
            raise PayloadError(f"{what} has {len(data):,} bytes, more than the {self.max_bytes:,} allowed")
        return data

    def _encode(self, value: Any, what: str) -> bytes:
        """Encode a value; `what` is named in the error."""
        self.check_trust()
        token = goes_to_redis.set(True)
        try:
            data = self.serializer.dumps(value)
        except Exception as error:
            raise PayloadError(
                f"{what} cannot be encoded: {type(error).__name__}: {_message(error)}"
            ) from error
        finally:
            goes_to_redis.reset(token)
        if not isinstance(data, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PayloadError(
                f"{what} cannot be encoded: dumps() of the serializer returned {type(data).__name__}, "
                "not bytes"
            )
        return data

    def _decode(self, data: bytes, kind: str, record: JobRecord) -> Any:
        """Decode a blob; its name is made only for an error, as this runs for each job."""
        if self.refusal:
            self.check_trust()
        if len(data) > MAX_DECODED and len(data) > self.max_bytes:
            most = max(self.max_bytes, MAX_DECODED)
            raise PayloadError(
                f"{_of(kind, record)} has {len(data):,} bytes, more than the {most:,} of max_job_bytes"
            )
        try:
            return self.serializer.loads(data)
        except Exception as error:
            raise PayloadError(
                f"{_of(kind, record)} cannot be decoded: {type(error).__name__}: {_message(error)} (this "
                f"program has the {serializer_name(self.serializer)} serializer; give producers and workers "
                "the same: serializer= or AQUEUE_SERIALIZER)"
            ) from error


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _of(kind: str, record: JobRecord) -> str:
    return f"the {kind} of job {record.id!r}"


def _message(error: BaseException) -> str:
    try:
        return str(error)[:500]
    except Exception:
        return "(its message cannot be shown)"
