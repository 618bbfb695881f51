"""Exceptions as text: nothing that an exception does can keep it from being described."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aqueue._core.failure import MAX_MESSAGE, MAX_TRACEBACK, MAX_TYPE, describe_exception

UNSHOWABLE = "(its message cannot be shown)"


class Hostile(Exception):
    """Does what it is told to when somebody looks at it."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def __str__(self) -> str:
        if isinstance(self.what, BaseException):
            raise self.what
        return self.what  # type: ignore[no-any-return]

    __repr__ = __str__


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_type_message_and_traceback() -> None:
    failed = describe_exception(raised(KeyError("x")))

    assert (failed.type, failed.message) == ("KeyError", "'x'")
    assert failed.traceback.startswith("Traceback (most recent call last):\n")
    assert failed.traceback.endswith("KeyError: 'x'")
    assert "in raised" in failed.traceback


def test_an_exception_that_was_never_raised() -> None:
    failed = describe_exception(ValueError("x"))

    assert (failed.type, failed.message, failed.traceback) == ("ValueError", "x", "ValueError: x")


def test_an_exception_without_a_message() -> None:
    failed = describe_exception(raised(ValueError()))

    assert (failed.type, failed.message) == ("ValueError", "")
    assert failed.traceback.endswith("\nValueError")


@pytest.mark.parametrize(
    "what",
    [
        RuntimeError("no"),
        SystemExit(3),
        KeyboardInterrupt(),
        RecursionError(),
        MemoryError(),
        Hostile("x"),
        5,
        None,
        b"x",
    ],
    ids=repr,
)
def test_an_exception_that_cannot_be_shown(what: Any) -> None:
    failed = describe_exception(raised(Hostile(what)))

    assert (failed.type, failed.message) == ("Hostile", UNSHOWABLE)
    assert failed.traceback.endswith(f"Hostile: {UNSHOWABLE}")


def test_surrogates_are_escaped() -> None:
    failed = describe_exception(raised(ValueError("a\ud800b")))

    assert failed.message == "a\\ud800b"
    failed.traceback.encode()


def test_huge_messages_are_cut_at_both_ends_kept() -> None:
    failed = describe_exception(raised(ValueError("start" + "x" * 10**6 + "end")))

    assert len(failed.message) == MAX_MESSAGE
    assert failed.message.startswith("startx")
    assert failed.message.endswith("xend")
    assert "characters left out" in failed.message
    assert len(failed.traceback) <= MAX_TRACEBACK
    assert failed.traceback.endswith("xend")


def test_a_huge_class_name_is_cut() -> None:
    kind = type("E" * 10_000, (Exception,), {})

    assert len(describe_exception(raised(kind("x"))).type) <= MAX_TYPE


def test_a_deep_recursion_is_described_shortly() -> None:
    def deeper() -> NoReturn:
        deeper()

    try:
        deeper()
    except RecursionError as error:
        failed = describe_exception(error)

    assert failed.type == "RecursionError"
    assert len(failed.traceback) <= MAX_TRACEBACK


def test_a_long_chain_of_causes_is_cut() -> None:
    error = ValueError("first")
    for number in range(300):
        later = ValueError(f"later {number} " + "x" * 500)
        later.__cause__ = error
        error = later
    failed = describe_exception(error)

    assert len(failed.traceback) <= MAX_TRACEBACK
    assert failed.traceback.startswith("ValueError: first")
    assert failed.traceback.endswith(failed.message)


def test_a_chain_that_bites_its_tail_ends() -> None:
    a, b = ValueError("a"), ValueError("b")
    a.__context__, b.__context__ = b, a

    assert describe_exception(a).traceback.endswith("ValueError: a")


def test_a_group_names_its_members() -> None:
    failed = describe_exception(raised(ExceptionGroup("many", [ValueError("x"), Hostile(SystemExit())])))

    assert (failed.type, failed.message) == ("ExceptionGroup", "many (2 sub-exceptions)")
    assert "ValueError: x" in failed.traceback
    assert failed.traceback.endswith("ExceptionGroup: many (2 sub-exceptions)")


def test_notes_are_kept_and_the_last_line_is_still_the_error() -> None:
    error = ValueError("x")
    error.add_note("a note")
    failed = describe_exception(raised(error))

    assert "a note" in failed.traceback
    assert failed.traceback.endswith("\nValueError: x")


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit(), StopIteration(5)], ids=repr
)
def test_exceptions_that_end_programs_are_described_too(error: BaseException) -> None:
    assert describe_exception(raised(error)).type == type(error).__name__


def test_our_own_frames_are_hidden() -> None:
    error = raised(ValueError("x"))

    assert "test_failure.py" not in describe_exception(error, hide=__file__).traceback
    assert "test_failure.py" in describe_exception(error, hide="elsewhere.py").traceback


@given(st.text(st.characters()))
def test_any_message_can_be_stored(message: str) -> None:
    failed = describe_exception(raised(ValueError(message)))

    for text in (failed.type, failed.message, failed.traceback):
        text.encode()
    assert failed.traceback.endswith(failed.message.rstrip("\n") if not failed.message else failed.message)


def test_a_class_that_lies_about_its_name() -> None:
    class Meta(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            sys.exit(1)

    class Liar(Exception, metaclass=Meta):
        pass

    assert describe_exception(Liar("x")).type == UNSHOWABLE
