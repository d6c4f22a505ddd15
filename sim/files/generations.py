"""Generations of chips: hardware/generations/*.yaml, a file each, which may extend its predecessor."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from sim.device.generation import Generation
from sim.errors import InputError, Problem
from sim.fields import did_you_mean
from sim.files.fields import read
from sim.files.library import find, names, shown
from sim.files.loader import Node, load
from sim.files.merge import Resolver

DEFAULT_GENERATION: Final = "hypothetical"
"""That of a file which names none."""


def list_generations() -> tuple[str, ...]:
    """Names in the library."""
    return names("generations")


@cache
def load_generation(name: str) -> Generation:
    """The constants of a generation by name; an `InputError` lists the names there are."""
    if name not in list_generations():
        hint = did_you_mean(name, list_generations()) or f"one of {', '.join(list_generations())}"
        raise InputError(Problem("unknown generation", "generation", name, hint=hint))
    return read_generation(find("generations", name))


def read_generation(path: Path) -> Generation:
    """The constants a file states, laid over those of the generation it extends; evidence is replaced whole."""
    return read(Generation, _tree(path))


def _tree(path: Path) -> Node:
    raw, merged = load(path, shown(path)), Resolver({(): "generations"}).whole(path)
    base, own = raw.at("extends"), raw.at("sources")
    if base is None or own is None or not isinstance(own.value, dict) or not isinstance(merged.value, dict):
        return merged
    above = _tree(find("generations", str(base.value), path.parent)).at("sources")
    known = above.value if above is not None and isinstance(above.value, dict) else {}
    return Node({**merged.value, "sources": Node({**known, **own.value}, own.mark, own.key_mark)}, merged.mark)
