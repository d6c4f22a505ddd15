"""One property some years on: its value along a trend, and the band the back-tests demand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

from sim.horizon.backtest import band
from sim.horizon.trends import Fit, factor_of, known_fits, trend_of
from sim.records import dataclass


class Band(StrEnum):
    """Which machine: every property at the low edge of its band, in the middle, or at the high edge.

    Low is less of everything: slower, smaller, longer launches, more failures, but less power and a lower price too,
    as power, price and speed rise together.
    """

    LOW = "low"
    CENTRAL = "central"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Projected:
    """One metric: the base's value, the trend's factor per year, the value then and its band."""

    metric: str
    now: float
    growth: float
    value: float
    low: float
    high: float
    points: int
    note: str = ""
    duration: bool = False  # the low machine has the longest

    def at(self, band: Band) -> float:
        """The value of one of the three machines, to three digits."""
        edges = (self.high, self.low) if self.duration else (self.low, self.high)
        value = {Band.LOW: edges[0], Band.CENTRAL: self.value, Band.HIGH: edges[1]}[band]
        return float(f"{value:.3g}")


@dataclass(frozen=True, slots=True)
class Ahead:
    """`years` after a base, by what had shipped before a year."""

    years: float
    before: float = math.inf

    @property
    def fits(self) -> Mapping[str, Fit]:
        """The trends known then."""
        return known_fits(self.before)

    def factor(self, metric: str) -> float:
        """What the years multiply a metric by; 1 where no trend of it was known."""
        return factor_of(self.fits, metric, self.years) or 1.0

    def yearly(self, factor: float) -> float:
        """The factor of one year."""
        return float(factor ** (1.0 / self.years)) if self.years else 1.0

    def along(self, metric: str, now: float, trend: str, note: str = "") -> Projected:
        """`now` times what the years of a trend give, within the band the back-tests hold; where there is no trend the
        value is kept, and says so."""
        found, factor = trend_of(self.fits, trend), self.factor(trend)
        if found is None:
            told = "; ".join(text for text in (note, f"kept: no trend was known by {self.before:g}") if text)
            return Projected(metric, now, 1.0, now, now, now, 0, told)
        edge = 10.0 ** band(trend, found, self.years, self.before)
        value = now * factor
        none = f"kept: x{found.growth:.2f} a year is no trend among {found.n} figures"
        told = "; ".join(text for text in (note, "" if found.distinguishable else none) if text)
        return Projected(metric, now, self.yearly(factor), value, value / edge, value * edge, found.n, told)
