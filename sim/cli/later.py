"""Modules that are imported when something of them is first used.

numpy and SimPy take as long to import as the rest of a start, and are named by modules whose formulas need neither:
`check` uses none of them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


class _Later(ModuleType):
    """Stands for a module until it is used; then it has all that module has."""

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = import_module(self.__name__)
        for inner in [item for item in vars(self).values() if isinstance(item, ModuleType)]:  # imported before it
            vars(module).setdefault(inner.__name__.rpartition(".")[2], inner)
        self.__dict__.update(module.__dict__)
        object.__setattr__(self, "__class__", ModuleType)
        return getattr(module, name)


def later(*names: str) -> None:
    """Import these once they are used."""
    for name in names:
        sys.modules.setdefault(name, _Later(name))


def parts_only(name: str) -> None:
    """Import modules of a package without the package itself (SimPy's asks `importlib.metadata` for its version: 40 ms,
    as long as `check` takes to read a scenario); that is imported once something of it is used.
    """
    spec = find_spec(name)
    if spec is not None and name not in sys.modules:
        package = sys.modules[name] = _Later(name)
        package.__spec__, package.__path__ = spec, spec.submodule_search_locations or []
