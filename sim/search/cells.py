"""Variants of a set of degrees, those together that share layers and stages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.plan.candidates import Variant
from sim.plan.records import Sharding
from sim.workload.records import Policy


class Kinds(NamedTuple):
    """What variants of one sub-batch and number of chunks differ in: the policies of recomputation and the (sharding,
    order) there are, of each variant which of them, and of each (sharding, order) the numbers of its variants."""

    policies: tuple[Policy, ...]
    ways: tuple[tuple[Sharding, tuple[str, ...]], ...]
    policy: NDArray[np.intp]
    way: NDArray[np.intp]
    members: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, variants: Sequence[Variant]) -> Kinds:
        """Of variants in their order."""
        policies: dict[Policy, int] = {}
        members: dict[tuple[Sharding, tuple[str, ...]], list[int]] = {}
        for number, variant in enumerate(variants):
            policies.setdefault(variant.recompute, len(policies))
            members.setdefault((variant.sharding, variant.order), []).append(number)
        policy = np.array([policies[variant.recompute] for variant in variants])
        way = np.empty_like(policy)
        for place, numbers in enumerate(members.values()):
            way[numbers] = place
        return cls(tuple(policies), tuple(members), policy, way, tuple(map(tuple, members.values())))


class Cell(NamedTuple):
    """Variants of one list with the same sub-batch and chunks, and where they stand in it."""

    places: Sequence[int]
    variants: Sequence[Variant]
    kinds: Kinds


def cells(variants: Sequence[Variant]) -> list[Cell]:
    """The variants of a set of degrees; most cells have the same kinds."""
    known: dict[object, Kinds] = {}
    found: list[Cell] = []
    for _, several in groupby(enumerate(variants), lambda item: item[1][:2]):
        places, kept = zip(*several, strict=True)
        rest = tuple([variant[2:] for variant in kept])
        if rest not in known:
            known[rest] = Kinds.of(kept)
        found.append(Cell(places, kept, known[rest]))
    return found
