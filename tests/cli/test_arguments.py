"""A function's arguments as `rq enqueue` takes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from aqueue.cli import arguments
from aqueue.cli.arguments import parse_arguments
from aqueue.errors import SettingsError


@pytest.mark.parametrize(
    ("typed", "args", "kwargs"),
    [
        ([], [], {}),
        (["abc", "", "1"], ["abc", "", "1"], {}),
        ([":5", ':"a=b"', ":[1, null]"], [5, "a=b", [1, None]], {}),
        (["%5", "%(1, 'a')", "%{1, 2}", "%b'x'"], [5, (1, "a"), {1, 2}, b"x"], {}),
        (["key=abc", "empty=", "more=a=b"], [], {"key": "abc", "empty": "", "more": "a=b"}),
        (["key:=5", 'o:={"a": [1]}', "n:=null"], [], {"key": 5, "o": {"a": [1]}, "n": None}),
        (["key%=None", "t%=(1,)"], [], {"key": None, "t": (1,)}),
        (["=abc", "=", "a:b", "50%"], ["=abc", "=", "a:b", "50%"], {}),
        (["url=http://x/?a:=1"], [], {"url": "http://x/?a:=1"}),
        (["func=1", "self:=2", "queue=q", "ttl:=3"], [], {"func": "1", "self": 2, "queue": "q", "ttl": 3}),
        (["b", "x=1", "a"], ["b", "a"], {"x": "1"}),
    ],
)
def test_each_form(typed: list[str], args: list[Any], kwargs: dict[str, Any]) -> None:
    assert parse_arguments(typed) == (args, kwargs)


def test_files_stand_for_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("two\nlines \u00e9\n", "utf-8")
    Path("data.json").write_text('{"a": 1}')
    Path("literal").write_text("(1, 2)")

    args, kwargs = parse_arguments(
        ["@text", ":@data.json", "%@literal", "t=@text", "j:=@data.json", "l%=@literal"]
    )

    assert args == ["two\nlines \u00e9\n", {"a": 1}, (1, 2)]
    assert kwargs == {"t": "two\nlines \u00e9\n", "j": {"a": 1}, "l": (1, 2)}


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["a", ":{bad"], "argument 2, ':{bad': what stands after : is not JSON: Expecting"),
        (["key:="], "argument 1, 'key:=': what stands after : is not JSON"),
        (["%open('x')"], "what stands after % is not a Python literal"),
        (["%("], "is not a Python literal: '(' was never closed"),
        (["%" + "(" * 10_000], "is not a Python literal"),
        ([":" + "[" * 100_000], "is not JSON"),
        ([":" + "9" * 10_000], "is not JSON"),
        (["a=1", "a:=2"], "argument 2, 'a:=2': a is given twice"),
        (["http://x/?a=1"], "what stands before = is not the name of an argument"),
        (["a\x1b[31m\n=1"], r"argument 1, 'a\x1b[31m\n=1'"),
        (["@"], "cannot read the file"),
        (["@no such file"], "argument 1, '@no such file': cannot read the file: [Errno 2]"),
        (["x=@/"], "cannot read the file: [Errno 21]"),
        (["x=@a\0b"], "cannot read the file: embedded null"),
    ],
)
def test_what_is_not_of_its_form_is_named(typed: list[str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_arguments(typed)

    assert named in str(caught.value)


def test_files_are_bounded_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "LARGEST_FILE", 10)
    (tmp_path / "fits").write_bytes(b"x" * 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    assert parse_arguments([f"@{tmp_path}/fits"])[0] == ["x" * 10]
    for name, message in (("large", "more than 10 bytes"), ("binary", "not UTF-8 text")):
        with pytest.raises(SettingsError, match=message):
            parse_arguments([f"key=@{tmp_path}/{name}"])
    if os.path.exists("/dev/zero"):
        with pytest.raises(SettingsError, match="more than 10 bytes"):
            parse_arguments(["@/dev/zero"])
