"""One property some years on: its value along a trend, and the band the back-tests demand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sim.horizon.backtest import band
from sim.horizon.trends import factor_of, known_fits


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


def along(metric: str, now: float, trend: str, years: float, note: str = "") -> Projected:
    """`now` times what `years` of a trend give, within the band the back-tests hold; a slope that is no trend keeps the
    value and says so."""
    trends = known_fits()
    found = trends[trend]
    factor = factor_of(trends, trend, years) or 1.0
    edge = 10.0 ** band(trend, found, years)
    value = now * factor
    none = f"kept: x{found.growth:.2f} a year is no trend among {found.n} figures"
    told = "; ".join(text for text in (note, "" if found.distinguishable else none) if text)
    return Projected(metric, now, yearly(factor, years), value, value / edge, value * edge, found.n, told)


def yearly(factor: float, years: float) -> float:
    """The factor of one year."""
    return float(factor ** (1.0 / years)) if years else 1.0
