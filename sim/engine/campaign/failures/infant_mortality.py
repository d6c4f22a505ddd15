"""Failures of a cluster that is being burnt in."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp
from typing import TYPE_CHECKING, ClassVar

from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True, slots=True)
class InfantMortality:
    """Hazard (1 + (early_factor - 1)·e^(-t/burn_in_s)) / mtbf at age t of the cluster, which falls to that of the mtbf.

    A Poisson process with that rate, by thinning (Lewis and Shedler 1979): candidates at the rate of the last one's
    age, which bounds all later ones, each kept with the ratio of the rates.
    """

    early_factor: float
    burn_in_s: float
    name: ClassVar[str] = "infant_mortality"
    memoryless: ClassVar[bool] = False

    def arrivals(self, draw: Generator, count: int, mtbf_s: float) -> Iterator[float]:
        mean, now = mtbf_s / count, 0.0
        bound = self.early_factor
        while True:
            now += mean / bound * float(draw.standard_exponential())
            hazard = 1.0 + (self.early_factor - 1.0) * exp(-now / self.burn_in_s)
            if float(draw.random()) * bound <= hazard:
                yield now
            bound = hazard
