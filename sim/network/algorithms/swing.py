"""Swing: halving and doubling with partners that stay near on a torus."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.network.algorithms.base import SCATTERS, Algorithm, Case, Listing, Messages, Step
from sim.network.topologies.base import Ints


class Swing(Algorithm):
    """In step σ of a dimension place r meets r + ρ(σ) if it is even, r - ρ(σ) if odd, ρ(σ) = (1 - (-2)^(σ+1))/3:
    partners are 1, 1, 3, 5, 11 … apart instead of 1, 2, 4, 8, 16.  2k parts of the buffer take turns through the k
    dimensions, one from each dimension on and its mirror image, and use every port at once:
    all-reduce Σ_s 2(δ_s·α + δ_s·S/(2^(s+1)·B)), δ_s the distance in step s.
    Source: De Sensi, Bonato, Saam & Hoefler, "Swing: Short-cutting Rings for Higher Bandwidth Allreduce", NSDI 2024
    (arXiv 2401.09356)."""

    name = "swing"
    kinds = SCATTERS
    named_only = True

    @classmethod
    def needs(cls, case: Case) -> str:
        return "" if case.n & (case.n - 1) == 0 else f"needs a power of two of ranks, the group has {case.n}"

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        return 2 * len(case.digits) * case.n

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        parts = [partners(case, first, way) for first in range(len(case.digits)) for way in (1, -1)]
        place = [positions(part, case.n) for part in parts]
        scatter, gather = case.halves
        steps = range(case.n.bit_length() - 1)
        for half, order, adds in ((scatter, steps, True), (gather, steps[::-1], False)):
            for s in order if half else ():
                yield Step(tuple(exchange(part[s], at, s, j, adds) for j, (part, at) in enumerate(zip(parts, place))))  # noqa: B905


def partners(case: Case, first: int, way: int) -> list[Listing]:
    """Whom every rank meets in each step of a part that takes turns through the dimensions from `first` on."""
    turns = [case.digits[(first + i) % len(case.digits)] for i in range(len(case.digits))]
    numbers = [(first + i) % len(case.digits) for i in range(len(case.digits))]
    found, here = [], np.arange(case.n)
    for sigma in range(max(digit.count.bit_length() for digit in turns) - 1):
        far = way * (1 - (-2) ** (sigma + 1)) // 3
        for digit, number in zip(turns, numbers, strict=True):
            if digit.count >> (sigma + 1):
                place = case.layout.place(number)
                met = (place + np.where(place % 2 == 0, far, -far)) % digit.count
                found.append(Listing(case, here + (met - place) * case.layout.weight(number)))
    return found


def positions(part: list[Listing], n: int) -> Ints:
    """The piece every rank keeps: those it sends in a step stand side by side."""
    order = np.zeros(1, dtype=np.int64)
    for ends in part:
        order = np.stack([order, ends.to[order]], axis=1).ravel()
    found = np.empty(n, dtype=np.int64)
    found[order] = np.arange(n)
    return found


def exchange(ends: Listing, place: Ints, step: int, part: int, adds: bool) -> Messages:
    """What the partner keeps of the part, to be added up; or back, what one has kept."""
    n = len(place)
    size = n >> (step + 1)
    return Messages(ends, lambda: part * n + (place[ends.to] if adds else place) // size * size, size, reduce=adds)
