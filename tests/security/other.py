"""A module outside of the list. Importing it leaves a trace."""

from __future__ import annotations

import builtins

builtins.aqueue_imported_other = True  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def harmless() -> None: ...
