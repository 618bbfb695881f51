"""Objects that options name as `module:name`, imported."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from aqueue._core.logs import get_logger
from aqueue.errors import SettingsError

logger: logging.Logger = get_logger("aqueue")

_MISSING = object()


def import_object(text: str, option: str) -> Any:
    """What `module:name` stands for; the name may be dotted.

    Raises:
        SettingsError: It is not of that form, or cannot be imported; the option is named.
    """
    module, _, name = text.partition(":")
    given = f"{option} {text!a}"
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise SettingsError(f"{given} must be module:name, as in myapp.jobs:lifespan")
    try:
        target: Any = importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            where = "is it installed, or does it lie in another folder, to be given as --path?"
            raise SettingsError(f"{given}: there is no module {error.name}: {where}") from None
        logger.error("cannot import %s", module, exc_info=error)
        raise SettingsError(f"{given}: importing {module} raised {type(error).__name__}: {error}") from error
    for part in name.split("."):
        target = getattr(target, part, _MISSING)
    if target is _MISSING:
        raise SettingsError(f"{given}: module {module} has no {name}: is it spelled so there?")
    return target
