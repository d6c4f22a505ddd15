"""Pairwise: an all-to-all in steps."""

from __future__ import annotations

from collections.abc import Iterator

from sim.network.algorithms.base import Algorithm, Case, Messages, Moved, Step, samples
from sim.network.flows import Sends


class Pairwise(Algorithm):
    """All-to-all in N-1 steps, rank r sending to r+k: Σ_k (α_k + S/N·β_k)."""

    name = "pairwise"
    kinds = ("all_to_all",)
    named_only = True

    @classmethod
    def pieces(cls, case: Case, chunks: int) -> int:
        return case.n**2

    @classmethod
    def step(cls, case: Case, k: int) -> Step:
        ends = Moved(case, Sends(((k, case.n),)))
        return Step((Messages(ends, lambda: ends.source * case.n + ends.to),))

    @classmethod
    def steps(cls, case: Case, pieces: int) -> Iterator[Step]:
        return (cls.step(case, k) for k in range(1, case.n))

    @classmethod
    def weighed(cls, case: Case, pieces: int) -> Iterator[tuple[Step, float]]:
        shifts, weight = samples(case)
        return ((cls.step(case, k), weight) for k in shifts.tolist())
