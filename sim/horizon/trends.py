"""Hardware trends: fits of log₁₀(metric) on time, one number format at a time (iso-format), and their bands.

    log₁₀ y(t) = a + b·t            ordinary least squares
    ŷ(T)       = y(base)·10^(b·(T − t_base))
    half width = t₀.₉₀(n−2)·√( s²·(1 + h) + (se_b·h)² )     in log₁₀, h = |T − t_base|; an 80 % band

A chip keeps its own distance from the line and walks on from it at random, a residual deviation s a year: that is
s²·(1 + h), where ordinary prediction intervals have s² alone and held 61 % of published outcomes at a nominal 90 %.
Once enough predictions have been tested their errors replace this width (`backtest`).  A slope that its own error does
not tell from zero (80 %, two-sided) is no trend: the value is kept, and its band is the scatter of the figures,
t·s·√(1 + 1/n).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from statistics import mean, median
from types import MappingProxyType
from typing import Final

from scipy.special import stdtrit

from sim.errors import InputError, Problem
from sim.fields import Status
from sim.files.hardware import AcceleratorFile, accelerator_files
from sim.horizon.points import METRICS, SERIES, Point, fit_points, series_points
from sim.ops import Format
from sim.records import dataclass

LEVEL: Final = 0.80
MIN_POINTS: Final = 5


@dataclass(frozen=True, slots=True)
class Fit:
    """log₁₀ of a metric against the year: slope and its standard error (1/yr), residual deviation (dex)."""

    metric: str
    n: int
    first: float
    last: float
    intercept: float  # at `last`
    slope: float
    slope_error: float
    deviation: float

    @property
    def growth(self) -> float:
        """Factor per year of the fitted line."""
        return float(10.0**self.slope)

    @property
    def doubling_years(self) -> float:
        return math.log10(2.0) / self.slope if self.slope else math.inf

    @property
    def distinguishable(self) -> bool:
        """Whether the slope's own error tells it from zero."""
        return abs(self.slope) > self._quantile * self.slope_error

    @property
    def _quantile(self) -> float:
        return float(stdtrit(self.n - 2, 0.5 + LEVEL / 2.0))

    def factor(self, years: float) -> float:
        """What `years` multiply the metric by; 1 where there is no trend."""
        return self.growth**years if self.distinguishable else 1.0

    def half_width(self, years: float) -> float:
        """Half width (dex) of the fit's own 80 % band, `years` from the base."""
        if not self.distinguishable:
            return self._quantile * self.deviation * math.sqrt(1.0 + 1.0 / self.n)
        walk = self.deviation * math.sqrt(1.0 + abs(years))
        return self._quantile * math.hypot(walk, self.slope_error * years)

    def at(self, year: float) -> float:
        """The fitted line in a year."""
        return float(10.0 ** (self.intercept + self.slope * (year - self.last)))


def fit(points: Iterable[Point], metric: str) -> Fit | None:
    """Least squares over the points that state the metric; None for fewer than five or a single date."""
    pairs = [(p.year, math.log10(p.values[metric])) for p in points if metric in p.values]
    if len(pairs) < MIN_POINTS:
        return None
    last = max(x for x, _ in pairs)
    mean_x, mean_y = mean(x for x, _ in pairs), mean(y for _, y in pairs)
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    if spread < 0.5:
        return None
    slope = sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread
    residuals = sum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in pairs)
    deviation = math.sqrt(residuals / (len(pairs) - 2))
    at_last = mean_y + slope * (last - mean_x)
    first = min(x for x, _ in pairs)
    return Fit(metric, len(pairs), first, last, at_last, slope, deviation / math.sqrt(spread), deviation)


def fits(points: Sequence[Point] | None = None) -> Mapping[str, Fit]:
    """Every metric and series that can be fitted."""
    return _fits((*fit_points(), *series_points())) if points is None else _fits(tuple(points))


def _fits(points: tuple[Point, ...]) -> dict[str, Fit]:
    return {metric: found for metric in (*METRICS, *SERIES) if (found := fit(points, metric)) is not None}


@cache
def known_fits(before: float = math.inf) -> Mapping[str, Fit]:
    """Those of what had shipped before a year: of all that the library knows."""
    known = (point for point in (*fit_points(), *series_points()) if point.year < before)
    return MappingProxyType(fits(tuple(known)))


def trend_of(trends: Mapping[str, Fit], metric: str) -> Fit | None:
    """The trend of a metric; a matrix unit too new for one of its own follows fp32, and capacity grows as bandwidth
    does (the time to read all memory stays)."""
    found = trends.get(metric)
    if found is None and metric in ("matrix16", "matrix8"):
        return trends.get("fp32")
    return found


def factor_of(trends: Mapping[str, Fit], metric: str, years: float) -> float | None:
    """What `years` multiply a metric by; None without a trend."""
    found = trend_of(trends, "bandwidth" if metric == "capacity" else metric)
    return None if found is None else found.factor(years)


def typical(metric: str) -> float:
    """Geometric mean of a series, where a base states no figure of its own."""
    return float(10.0 ** mean(math.log10(p.values[metric]) for p in series_points() if metric in p.values))


def format_step(narrow: Format, wide: Format, files: Iterable[AcceleratorFile] | None = None) -> tuple[float, int]:
    """Median dense rate of one format over another on shipped chips that have both, and how many there are."""
    given = accelerator_files().values() if files is None else files
    ratios = [
        formats[narrow].peak / formats[wide].peak
        for file in given
        if file.status == Status.SHIPPED and narrow in (formats := file.compute.formats) and wide in formats
    ]
    if not ratios:
        raise InputError(Problem(f"no shipped chip has both {narrow} and {wide}", "format", narrow))
    return median(ratios), len(ratios)
