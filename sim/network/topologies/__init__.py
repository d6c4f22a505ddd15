"""Topologies of a level, one file each: a class in this folder is found by its names."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from sim.network.topologies.base import LevelTopology


def _found() -> dict[str, type[LevelTopology]]:
    """Every class with a name, in the order of the files."""
    classes: dict[str, type[LevelTopology]] = {}
    for name in sorted(entry.name for entry in iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        for item in vars(module).values():
            own = isinstance(item, type) and item.__module__ == module.__name__
            if own and issubclass(item, LevelTopology):
                classes |= dict.fromkeys(item.names, item)
    return classes


TOPOLOGIES = _found()
