"""Several tori joined by a network."""

from __future__ import annotations

from sim.network.algorithms.base import SCATTERS, Case
from sim.network.algorithms.dimensions import Dimensional


class Multislice(Dimensional):
    """Reduce-scatter inside every torus on all its dimensions, rings between the tori with 1/n of the buffer for each
    device, all-gather inside (XLA's hierarchical collectives over slices)."""

    name = "multislice"
    kinds = SCATTERS

    @classmethod
    def refusal(cls, case: Case) -> str:
        whole = 0 < cls.rotated(case) < len(case.digits)
        return "" if whole else "needs a group that fills tori joined by another level"

    @classmethod
    def rotated(cls, case: Case) -> int:
        """How many innermost digits are dimensions of a torus."""
        wraps = [case.of_level(i).wraps for i in range(len(case.digits))]
        return wraps.index(False) if False in wraps else len(wraps)
