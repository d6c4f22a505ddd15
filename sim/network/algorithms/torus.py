"""Torus rings."""

from __future__ import annotations

from sim.network.algorithms.base import SCATTERS, Case
from sim.network.algorithms.dimensions import Dimensional


class Torus(Dimensional):
    """k rotated parts of the buffer go through all k dimensions at once, each by bidirectional rings; part j starts
    at dimension j.  Equal sizes D give Σᵢ 2(D-1)(α + S/(2k·D^i)·β), i = 1 … k."""

    name = "torus"
    kinds = SCATTERS

    @classmethod
    def refusal(cls, case: Case) -> str:
        inside = all(case.of_level(i).wraps for i in range(len(case.digits)))
        return "" if inside else "needs a group that fills dimensions of a torus"

    @classmethod
    def rotated(cls, case: Case) -> int:
        return len(case.digits)
