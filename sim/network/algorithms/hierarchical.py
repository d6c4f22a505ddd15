"""Hierarchical rings."""

from __future__ import annotations

from sim.network.algorithms.base import SCATTERS, Case
from sim.network.algorithms.dimensions import Dimensional


class Hierarchical(Dimensional):
    """Reduce-scatter up the digits by rings, all-gather down: Σᵢ 2(nᵢ-1)(αᵢ + S/(Π_{j≤i} n_j)·βᵢ)."""

    name = "hierarchical"
    kinds = SCATTERS

    @classmethod
    def refusal(cls, case: Case) -> str:
        return "" if len(case.digits) > 1 else "needs a group that spans several levels evenly"

    @classmethod
    def considered(cls, case: Case) -> bool:
        """Where rings have no switch below the top."""
        return any(case.of_level(i).grid for i in range(len(case.digits) - 1))
