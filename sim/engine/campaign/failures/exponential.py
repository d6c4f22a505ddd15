"""Failures without memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from numpy.random import Generator

BLOCK: Final = 512  # draws taken at once


@dataclass(frozen=True, slots=True)
class Exponential:
    """A constant hazard 1/mtbf of each component: together a Poisson process of rate count/mtbf."""

    name: ClassVar[str] = "exponential"
    memoryless: ClassVar[bool] = True

    def arrivals(self, draw: Generator, count: int, mtbf_s: float) -> Iterator[float]:
        mean, now = mtbf_s / count, 0.0
        while True:
            for gap in draw.standard_exponential(BLOCK).tolist():
                now += gap * mean
                yield now
