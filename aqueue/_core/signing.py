"""Signing keys. What is signed is made of length-prefixed parts, so that none can pass for another."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from typing import TypeAlias

from aqueue._core.secrets import keep
from aqueue.errors import SettingsError

#: What `signing_key=` takes: one key or several, also as one string with commas or spaces between them.
SigningKey: TypeAlias = str | bytes | Iterable[str | bytes]

SHORTEST = 16
#: Each signature that does not fit costs a try with each key.
MOST = 16

#: Length of a signature, bytes.
SIZE = 32


class Keyring:
    """The first key signs; all verify, so that keys can be replaced one program at a time."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._keys)}>"

    def __reduce__(self) -> tuple[type[Keyring], tuple[tuple[bytes, ...]]]:
        keep("a signing key")
        return Keyring, (self._keys,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyring) and other._keys == self._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    def sign(self, *parts: bytes) -> bytes:
        """HMAC-SHA256 of the parts, with the first key."""
        return hmac.digest(self._keys[0], _joined(parts), "sha256")

    def fits(self, signature: bytes, *parts: bytes) -> bool:
        """Whether one of the keys signed these parts."""
        message = _joined(parts)
        return any(hmac.compare_digest(hmac.digest(key, message, "sha256"), signature) for key in self._keys)


def _joined(parts: tuple[bytes, ...]) -> bytes:
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)])


def check_keys(given: SigningKey | Keyring | None) -> Keyring | None:
    """The keys; None without any.

    Raises:
        SettingsError: None at all, too many, or one that is too short; the text tells nothing of the keys.
    """
    if given is None or isinstance(given, Keyring):
        return given
    if not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise SettingsError(f"signing_key= takes strings or bytes, not {type(given).__name__}")
    listed = [given] if isinstance(given, str | bytes) else list(given)
    keys: list[bytes] = []
    for key in listed:
        if isinstance(key, str):
            keys += (part.encode("utf-8", "surrogatepass") for part in re.split(r"[,\s]+", key) if part)
        elif isinstance(key, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            keys.append(key)
        else:
            raise SettingsError(f"signing_key= takes strings or bytes, not {type(key).__name__}")
    if not 1 <= len(keys) <= MOST:
        raise SettingsError(f"signing_key= needs 1 to {MOST} keys, not {len(keys)}")
    if any(len(key) < SHORTEST for key in keys):
        raise SettingsError(
            f"a signing key has fewer than {SHORTEST} bytes: make one with "
            "`python -c 'import secrets; print(secrets.token_hex(32))'`"
        )
    return Keyring(tuple(keys))
