"""Recursive doubling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Ends, Messages, Moved, Step, folded
from sim.network.flows import Sends, Table


def power_of_two(case: Case) -> str:
    """Refusal of collectives that need a power of two of ranks."""
    if case.kind in ("all_reduce", "barrier") or case.n & (case.n - 1) == 0:
        return ""
    return f"needs a power of two of ranks for {case.kind}, the group has {case.n}"


def swap(case: Case, distance: int, ranks: int) -> Ends:
    """Rank i < `ranks` to i xor distance, a power of two."""
    if ranks == case.n:
        return case.turned((distance, 2 * distance))
    pairs = Table(np.arange(2), np.array([1, -1]), 2, distance, case.n)
    return Moved(case, Sends(table=pairs, only=(0, ranks, case.n)))


class RecursiveDoubling(Algorithm):
    """log₂N exchanges of all of S with i xor 1, 2, 4 …: Σ (α + S·β); an all-gather doubles its piece each time:
    Σ α + 2^k/N·S·β.  Ranks beyond the largest power of two first send all to a partner, and get the result at the end.
    Source: Thakur, Rabenseifner & Gropp, IJHPCA 19 (2005)."""

    name = "recursive_doubling"
    kinds = ("all_reduce", "all_gather", "barrier")

    @classmethod
    def needs(cls, case: Case) -> str:
        return power_of_two(case)

    @classmethod
    def considered(cls, case: Case) -> bool:
        return case.kind == "barrier"

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        return case.n if case.kind == "all_gather" else 1

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        power, distance = folded(case.n), 1
        if case.kind == "all_gather":
            while distance < case.n:
                index, size = np.arange(case.n), distance
                ends = swap(case, size, case.n)
                yield Step((Messages(ends, lambda index=index, size=size: index // size * size, size),))  # type: ignore[misc]
                distance *= 2
            return
        yield from fold(case, power, inwards=True, pieces=pieces)
        while distance < power:
            yield Step((Messages(swap(case, distance, power), none, pieces * sized(case), reduce=True),))
            distance *= 2
        yield from fold(case, power, inwards=False, pieces=pieces)


def none() -> np.ndarray:
    """From the first piece on."""
    return np.zeros(1, dtype=np.int64)


def sized(case: Case) -> int:
    """A barrier carries nothing."""
    return 0 if case.kind == "barrier" else 1


def fold(case: Case, power: int, inwards: bool, pieces: int) -> Iterator[Step]:
    """Ranks from `power` on send all to a partner below, or get it back."""
    extra = case.n - power
    if extra:
        by, only = (-power % case.n, (power, case.n, case.n)) if inwards else (power, (0, extra, case.n))
        ends = Moved(case, Sends(((by, case.n),), only=only))
        yield Step((Messages(ends, none, pieces * sized(case), reduce=inwards),))
