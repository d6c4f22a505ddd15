"""Failures without memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Final

from sim.records import dataclass

if TYPE_CHECKING:
    from numpy.random import Generator

BLOCK: Final = 512  # draws taken at once


@dataclass(frozen=True, slots=True)
class Exponential:
    """A constant hazard 1/mtbf of each component: together a Poisson process of rate count/mtbf."""

    name: ClassVar[str] = "exponential"
    memoryless: ClassVar[bool] = True

    def arrivals(self, draw: Generator, count: int, mtbf_s: float) -> Iterator[float]:
        return chain.from_iterable(self._blocks(draw, mtbf_s / count))

    def _blocks(self, draw: Generator, mean: float) -> Iterator[list[float]]:
        now = 0.0
        while True:
            gaps = draw.standard_exponential(BLOCK)
            gaps *= mean
            gaps[0] += now
            times = gaps.cumsum().tolist()
            now = times[-1]
            yield times
