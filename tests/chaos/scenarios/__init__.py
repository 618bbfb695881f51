"""The scenarios, a module for each section of the catalogue; importing this registers them all."""

from importlib import import_module
from pkgutil import iter_modules

from tests.chaos.scenario import SCENARIOS as SCENARIOS

for _module in sorted(found.name for found in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
