"""A command's options as they would be typed once more, for a process that is to do the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import typer


def typed_again(context: typer.Context, *, without: Collection[str] = ()) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment that say what this command was told.

    Everybody on the machine can read a command line: what may come by a variable goes by that variable.

    Args:
        without: Names of parameters to leave out.
    """
    options: list[str] = []
    arguments: list[str] = []
    environment: dict[str, str] = {}
    parameters: list[Any] = context.command.params
    for parameter in parameters:
        source = context.get_parameter_source(parameter.name)
        if parameter.name in without or source is None or source.name != "COMMANDLINE":
            continue
        value: Any = context.params[parameter.name]
        listed: list[Any] = list(value) if isinstance(value, list | tuple) else [value]  # pyright: ignore[reportUnknownArgumentType]
        values = [str(each) for each in listed]
        if isinstance(parameter.envvar, str) and len(values) == 1:
            environment[parameter.envvar] = values[0]
        elif parameter.param_type_name == "argument":
            arguments += values
        elif isinstance(value, bool):
            options.append(max((parameter.opts if value else parameter.secondary_opts), key=len))
        else:
            name = max(parameter.opts, key=len)
            options += [f"{name}={each}" for each in values]
    return [*options, "--", *arguments], environment
