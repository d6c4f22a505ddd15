"""Failures of components that age."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from math import gamma
from typing import TYPE_CHECKING, ClassVar

from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True, slots=True)
class Weibull:
    """Lives of each component drawn from a Weibull distribution of mean mtbf, renewed at every failure.

    `shape` < 1: the hazard falls with age; 1: exponential; > 1: wear-out. Scale = mtbf / Γ(1 + 1/shape).
    """

    shape: float
    name: ClassVar[str] = "weibull"
    memoryless: ClassVar[bool] = False

    def arrivals(self, draw: Generator, count: int, mtbf_s: float) -> Iterator[float]:
        scale = mtbf_s / gamma(1.0 + 1.0 / self.shape)
        first = draw.weibull(self.shape, count)
        first.sort()
        renewed: list[float] = []  # next failures of components that have failed before
        for new in (first * scale).tolist():
            while renewed and renewed[0] < new:
                yield self._renew(renewed, draw, scale)
            yield new
            heapq.heappush(renewed, new + scale * float(draw.weibull(self.shape)))
        while True:
            yield self._renew(renewed, draw, scale)

    def _renew(self, renewed: list[float], draw: Generator, scale: float) -> float:
        now = renewed[0]
        heapq.heapreplace(renewed, now + scale * float(draw.weibull(self.shape)))
        return now
