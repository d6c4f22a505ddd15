"""Collective algorithms, one file each: a class in this folder is found by its name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from sim.network.algorithms.base import Algorithm, Case


def _found() -> dict[str, type[Algorithm]]:
    """Every class with a name, in the order of the files."""
    classes: dict[str, type[Algorithm]] = {}
    for name in sorted(entry.name for entry in iter_modules(__path__)):
        module = import_module(f"{__name__}.{name}")
        for item in vars(module).values():
            own = isinstance(item, type) and item.__module__ == module.__name__
            if own and issubclass(item, Algorithm) and item.name:
                classes[item.name] = item
    return classes


ALGORITHMS = _found()


def refusal(name: str, case: Case) -> str:
    """Why the algorithm cannot serve this collective on this group; "" if it can."""
    algorithm = ALGORITHMS[name]
    if case.kind not in algorithm.kinds:
        return f"does not do {case.kind}"
    return algorithm.needs(case) or algorithm.refusal(case)
