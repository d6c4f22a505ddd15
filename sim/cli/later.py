"""Modules that are imported when something of them is first used.

numpy and SimPy take as long to import as the rest of a start, and are named by modules whose formulas need neither:
`check` uses none of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _Later(ModuleType):
    """Stands for a module until it is used; then it has all that module has."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        object.__setattr__(self, "__class__", ModuleType)
        return getattr(module, name)


def later(*names: str) -> None:
    """Import these once they are used."""
    for name in names:
        sys.modules.setdefault(name, _Later(name))
