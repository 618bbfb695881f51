"""RQ reborn asyncio-native: a job queue on Redis or Valkey that never loses a job.

The public names stand in `aqueue._exports`, and all are loaded at the first use of one. pytest imports
`aqueue.pytest_plugin`, and this file with it, in every run of an environment that has aqueue: loading
everything there would more than double the time that pytest itself takes to start.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aqueue._exports import *  # noqa: F403
    from aqueue._exports import __all__ as __all__
    from aqueue._exports import __version__ as __version__
else:
    import importlib

    def __getattr__(name):
        """Load what `import aqueue` promises (PEP 562), unless it is something private that is looked for."""
        if not name.startswith("_") or name in ("__all__", "__version__"):
            exports = importlib.import_module("aqueue._exports")
            globals().update({public: getattr(exports, public) for public in exports.__all__})
            globals()["__all__"] = exports.__all__
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__getattr__("__all__")})
