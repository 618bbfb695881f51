"""A function's arguments as they are typed, in the forms of `rq enqueue`.

    abc      text         key=abc      text by keyword
    :5       JSON         key:=5       JSON by keyword
    %(1,)    a literal    key%=(1,)    a Python literal by keyword

`@FILE` in the place of the value stands for what the file holds: `@notes.txt`, `:@data.json`, `key:=@a.json`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from typing import Any

from aqueue._core.names import _shown
from aqueue._core.options import DEFAULT_MAX_JOB_BYTES
from aqueue.errors import SettingsError

#: The largest file: a larger one would make a job that is refused.
LARGEST_FILE = DEFAULT_MAX_JOB_BYTES


def parse_arguments(typed: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments.

    Raises:
        SettingsError: One is not what its form says; the message names it and the form.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for number, text in enumerate(typed, 1):
        what = f"argument {number}, {_shown(text)}"
        keyword, form, value = _split(text)
        if keyword is not None and not keyword.isidentifier():
            raise SettingsError(
                f"{what}: what stands before = is not the name of an argument; as JSON it is text: ':\"...\"'"
            )
        if value.startswith("@"):
            value = _read(value[1:], what)
        parsed = _parse(form, value, what)
        if keyword is None:
            args.append(parsed)
        elif keyword in kwargs:
            raise SettingsError(f"{what}: {keyword} is given twice")
        else:
            kwargs[keyword] = parsed
    return args, kwargs


def _split(text: str) -> tuple[str | None, str, str]:
    """Keyword, form ("" for text, ":" for JSON, "%" for a literal) and value."""
    if text[:1] in (":", "%"):
        return None, text[0], text[1:]
    keyword, equals, value = text.partition("=")
    if not (keyword and equals):
        return None, "", text
    if keyword[-1] in ":%":
        return keyword[:-1], keyword[-1], value
    return keyword, "", value


def _read(path: str, what: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SettingsError(f"{what}: the file is not UTF-8 text: {error.reason}") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{what}: cannot read the file: {error}") from None
    if len(data) > LARGEST_FILE:
        raise SettingsError(
            f"{what}: the file has more than {LARGEST_FILE:,} bytes; pass where it is instead"
        )
    return text


def _parse(form: str, value: str, what: str) -> Any:
    if not form:
        return value
    kind, parse = _FORMS[form]
    try:
        return parse(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SettingsError(f"{what}: what stands after {form} is not {kind}: {reason}") from None


_FORMS: dict[str, tuple[str, Callable[[str], Any]]] = {
    ":": ("JSON", json.loads),
    "%": ("a Python literal", ast.literal_eval),
}
