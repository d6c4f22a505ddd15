"""Plug-ins by name: a class in its own file of a folder is found, listed and refused with one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar, cast

from sim.errors import Problem
from sim.fields.kinds import did_you_mean

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Every class of a package's modules that has a `name` (or several `names`), in the order of the files.

    `kind` is what a message calls one of them.
    """

    def __init__(self, kind: str, package: str, path: Iterable[str]) -> None:
        self.kind = kind
        self._known: dict[str, T] = {}
        for file in sorted(entry.name for entry in iter_modules(path)):
            module = import_module(f"{package}.{file}")
            for item in vars(module).values():
                if isinstance(item, type) and item.__module__ == module.__name__:
                    self._known |= dict.fromkeys(_names(item), cast(T, item))

    def __getitem__(self, name: str) -> T:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def unknown(self, name: str, path: str) -> Problem:
        """What is said of a name that none of them has."""
        hint = did_you_mean(name, self) or f"one of {', '.join(self)}"
        return Problem(f"unknown {self.kind}", path, name, hint=hint)


def _names(item: type) -> tuple[str, ...]:
    """The names of a class itself, not those of its base."""
    own = vars(item)
    return own.get("names", ()) or ((own["name"],) if own.get("name") else ())
