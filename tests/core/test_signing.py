"""Keys: which can be used, that they rotate, and that they are told to nobody."""

from __future__ import annotations

from typing import Any

import pytest

from aqueue._core.signing import Keyring, check_keys
from aqueue.errors import SettingsError

OLD, NEW = "old-old-old-old-old-old", "new-new-new-new-new-new"


def keyring(*keys: str) -> Keyring:
    found = check_keys(keys)
    assert found is not None
    return found


def test_the_first_key_signs_and_all_verify() -> None:
    signed = keyring(OLD).sign(b"a", b"b")

    assert len(signed) == 32
    assert keyring(NEW, OLD).fits(signed, b"a", b"b")
    assert keyring(NEW, OLD).sign(b"a", b"b") == keyring(NEW).sign(b"a", b"b") != signed
    assert not keyring(NEW).fits(signed, b"a", b"b")


@pytest.mark.parametrize("parts", [(b"ab",), (b"ab", b""), (b"", b"ab"), (b"b", b"a"), (b"a", b"b", b""), ()])
def test_parts_cannot_pass_for_others(parts: tuple[bytes, ...]) -> None:
    assert not keyring(OLD).fits(keyring(OLD).sign(b"a", b"b"), *parts)


@pytest.mark.parametrize("signature", [b"", b"x", bytes(31), bytes(32), bytes(33), b"\xff" * 1_000])
def test_a_signature_of_any_length_is_only_wrong(signature: bytes) -> None:
    assert not keyring(OLD).fits(signature, b"a")


@pytest.mark.parametrize(
    "given", [f"{NEW},{OLD}", f" {NEW}  {OLD}\n", [NEW, OLD], (NEW.encode(), OLD), iter([NEW, OLD])]
)
def test_several_keys_come_as_a_list_or_as_one_string(given: Any) -> None:
    assert check_keys(given) == keyring(NEW, OLD)
    assert hash(check_keys([NEW, OLD])) == hash(keyring(NEW, OLD))


def test_bytes_are_one_key_whatever_they_hold() -> None:
    assert check_keys(b"0123,456 789,abcdef") == Keyring((b"0123,456 789,abcdef",))


def test_no_key_is_none() -> None:
    assert check_keys(None) is None


@pytest.mark.parametrize(
    "given",
    [
        "",
        b"",
        [],
        "secretsecret",
        b"secretsecret15b",
        ["secret" * 9, "secret"],
        ["secret" * 9] * 17,
        5,
        [5],
        [None],
    ],
)
def test_keys_that_cannot_be_meant_are_refused_without_telling_them(given: Any) -> None:
    with pytest.raises((SettingsError, TypeError)) as caught:
        check_keys(given)

    assert "secretsecret" not in str(caught.value).replace("secrets.token_hex", "")


def test_a_keyring_does_not_show_its_keys() -> None:
    assert repr(keyring(NEW, OLD)) == str(keyring(NEW, OLD)) == "<Keyring of 2>"
