"""Recursive halving and doubling (Rabenseifner)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.network.algorithms.base import Algorithm, Case, Messages, Step, folded
from sim.network.algorithms.recursive_doubling import fold, power_of_two, swap
from sim.network.topologies.base import Ints


class HalvingDoubling(Algorithm):
    """Exchange the half the partner keeps with i xor 1, then a quarter with i xor 2, …; then back:
    2log₂N·α + 2(N-1)/N·S·β, with a fold step for any N.

    The largest messages go to the nearest ranks (Rabenseifner 2004: vector halving, distance doubling), so rank i
    keeps the piece whose number is i with its bits reversed.
    """

    name = "halving_doubling"
    kinds = ("all_reduce", "reduce_scatter")
    named_only = True

    @classmethod
    def needs(cls, case: Case) -> str:
        return power_of_two(case)

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        return folded(case.n)

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        power = folded(case.n)
        halvings = [cls.halving(case, power, k) for k in range(power.bit_length() - 1)]
        yield from fold(case, power, inwards=True, pieces=pieces)
        yield from (Step((down,)) for down, _ in halvings)
        if case.kind == "all_reduce":
            yield from (Step((up,)) for _, up in reversed(halvings))
            yield from fold(case, power, inwards=False, pieces=pieces)

    @classmethod
    def halving(cls, case: Case, power: int, k: int) -> tuple[Messages, Messages]:
        """The exchange at distance 2^k, to scatter and to gather."""
        size = power >> (k + 1)
        ends = swap(case, 1 << k, power)
        down = Messages(ends, lambda: reversed_bits(power)[ends.to] // size * size, size, reduce=True)
        return down, Messages(ends, lambda: reversed_bits(power) // size * size, size)


def reversed_bits(p: int) -> Ints:
    """0 … p-1 with their log₂p bits in reverse."""
    out, bits = np.zeros(p, dtype=np.int64), p.bit_length() - 1
    for k in range(bits):
        out |= (np.arange(p) >> k & 1) << (bits - 1 - k)
    return out
