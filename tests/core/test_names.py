"""Ids and names: what is let in, and the ones that are made here."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue._core.names import check_job_id, check_name, new_job_id, new_nonce
from aqueue.errors import SettingsError


class Trap:
    def __repr__(self) -> str:
        raise RuntimeError("a trap")


GOOD_IDS = ["a", "A-Z_0.9:@", "my_job_id", "user@example.com:42", "0", "-", "x" * 128]
BAD_IDS: list[Any] = [
    "", "x" * 129, "a b", "a\n", "\na", "a\0", "{a}", "a/b", "ä", "a*", 'a"', "a\x1b[31m", "a\u2028", None,
    1, b"a", Trap(),
]  # fmt: skip
BAD_NAMES: list[Any] = ["", "x" * 65, "a:b", "a@b", "a b", "{a}", "a\n", "é", None, 7, b"a", Trap()]


@pytest.mark.parametrize("job_id", GOOD_IDS)
def test_a_good_id_is_let_in(job_id: str) -> None:
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize("job_id", BAD_IDS, ids=map(str, range(len(BAD_IDS))))
def test_a_bad_id_is_refused(job_id: Any) -> None:
    with pytest.raises(SettingsError, match="is not 1 to 128 characters") as caught:
        check_job_id(job_id)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["default", "a.b-c_D9", "x" * 64])
def test_a_good_name_is_let_in(name: str) -> None:
    assert check_name(name, "queue") == name


@pytest.mark.parametrize("name", BAD_NAMES, ids=map(str, range(len(BAD_NAMES))))
def test_a_bad_name_is_refused_and_told_what_it_names(name: Any) -> None:
    with pytest.raises(SettingsError, match=r"^worker name .* is not 1 to 64 characters"):
        check_name(name, "worker")


@given(st.text(max_size=200))
def test_what_is_let_in_is_plain_ascii_without_braces(text: str) -> None:
    try:
        check_job_id(text)
    except SettingsError:
        return
    assert text.isascii()
    assert not set(text) & set("{} \n\r\t\0")


def test_new_ids_are_short_and_begin_with_the_time() -> None:
    made = new_job_id()

    assert check_job_id(made) == made
    assert len(made) == 28
    assert abs(int(made[:11], 16) - time.time() * 1000) < 5000


def test_all_other_digits_of_an_id_are_random() -> None:
    ids = [new_job_id() for _ in range(1000)]

    assert all(len({made[at] for made in ids}) == 16 for at in range(11, 28))


def test_new_ids_are_unique_and_sort_by_the_time_they_were_made() -> None:
    ids = [new_job_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert [made[:11] for made in ids] == sorted(made[:11] for made in ids)


def test_nonces_never_repeat_and_hold_nothing_that_a_reply_or_token_would_split_at() -> None:
    nonces = {new_nonce() for _ in range(1000)}

    assert len(nonces) == 1000
    assert not {character for nonce in nonces for character in nonce} & set(": \n")


def _of_a_forked_child(make: Callable[[], str]) -> str:
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sender, make().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(sender)
    theirs = os.read(receiver, 100).decode()
    os.close(receiver)
    return theirs


def test_a_forked_child_makes_nonces_of_its_own() -> None:
    new_nonce()

    assert _of_a_forked_child(new_nonce)[:12] != new_nonce()[:12]


def test_a_forked_child_makes_ids_of_its_own() -> None:
    new_job_id()

    assert _of_a_forked_child(new_job_id)[11:] != new_job_id()[11:]


def test_threads_make_ids_that_differ() -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend([new_job_id() for _ in range(2_000)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(ids)) == 8_000
