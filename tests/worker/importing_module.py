"""A module that lacks one of its own imports."""

import a_module_that_does_not_exist  # type: ignore[import-not-found]  # noqa: F401  # pyright: ignore[reportMissingImports,reportUnusedImport]


async def f() -> None: ...
