"""Rings on a twisted torus."""

from __future__ import annotations

from math import prod

import numpy as np

from sim.network.algorithms.base import SCATTERS, Case, Ends, Moved
from sim.network.algorithms.dimensions import Dimensional, Leg, Part
from sim.network.flows import Sends, Table
from sim.network.topologies.base import Ints
from sim.network.topologies.twisted_torus import TwistedTorus as Topology
from sim.network.topologies.twisted_torus import beside


class TwistedTorus(Dimensional):
    """All d dimensions at once, both ways round, part j beginning at dimension j, as on a torus of equal sizes.

    Every dimension is a closed ring of 2k members: a walk along a short one passes its end and goes on half way round
    the long ones.  With s short dimensions the first s stages of a part reduce stretches of k of such a ring, so that
    members k apart keep the same pieces; the others walk all 2k and add up what these hold.  Cost with port bandwidth
    B/2d: that of a torus of s stages of k and then d-s of 2k, whatever the dimension a part begins at.
    """

    name = "twisted_torus"
    kinds = SCATTERS

    @classmethod
    def refusal(cls, case: Case) -> str:
        return "" if cls.rotated(case) else "needs a group that fills a twisted torus"

    @classmethod
    def sizes(cls, case: Case) -> tuple[int, ...]:
        """Of the twisted torus that the innermost digits fill; none: they do not."""
        level = case.level(0)
        if level is None or case.of_level(0) is not Topology:
            return ()
        inside = tuple(digit.count for digit in case.digits if digit.level == case.digits[0].level)
        return inside if inside == level.sizes else ()

    @classmethod
    def rotated(cls, case: Case) -> int:
        return len(cls.sizes(case))

    @classmethod
    def fine(cls, case: Case) -> int:
        return 1

    @classmethod
    def leg(cls, case: Case, part: Part, stage: int) -> Leg:
        (order, _, way), sizes = part, cls.sizes(case)
        if stage >= len(sizes):
            return super().leg(case, part, stage)
        short, k = sizes.count(min(sizes)), min(sizes)
        apart = [d for d in order[:short] if sizes[d] > k]  # a long dimension whose halves are not yet added up

        def place() -> Ints:
            on = case.layout.place(order[stage])
            if stage < short:
                return on % k
            half = on // k
            for dimension in apart:
                half = half ^ case.layout.place(dimension) // k
            return on % k + k * half

        return Leg(place, k if stage < short else 2 * k, beside_all(case, sizes, order[stage], way))


def beside_all(case: Case, sizes: tuple[int, ...], dimension: int, way: int) -> Ends:
    """Every rank to the next one along a dimension."""
    key = "beside", sizes, dimension, way
    if key not in case.memory:
        n = prod(sizes)
        here = np.arange(n)
        case.memory[key] = Moved(case, Sends(table=Table(here, beside(sizes, here, dimension, way) - here, n, 1, n)))
    ends: Ends = case.memory[key]
    return ends
