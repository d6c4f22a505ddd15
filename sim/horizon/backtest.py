"""What the bands hold: every figure that shipped after a cut-off year, predicted from what had shipped before it.

    at each cut-off year: fits on what was known, base = the vendor's best part then, target = every later part
    half width = w·√(1 + h) in log₁₀, h years from the base: errors walk away at random, in steps (formats, die count
                 and power budgets come in steps)
    w(metric)  = split-conformal 80 % quantile of |error| / √(1 + h) over the predictions of that metric whose targets
                 had shipped by the cut-off; with fewer than 20 of them the half width is the fit's own

No prediction sees a fit, a base or a band of its own future.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from statistics import mean, median
from typing import Final

from scipy.special import stdtrit

from sim.horizon.points import METRICS, SERIES, Point, fit_points, published_rows, series_points
from sim.horizon.trends import LEVEL, Fit, factor_of, fits, trend_of
from sim.records import dataclass

TESTED_YEARS: Final = 8.0
"""Longest prediction that is tested, in years from the base."""
MIN_ERRORS: Final = 20
"""Predictions of a metric before their errors say anything about its bands."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """One figure predicted at a cut-off year."""

    metric: str
    cutoff: int
    anchor: str
    target: str
    year: float  # of the target
    horizon: float  # years between the two
    n: int
    actual: float
    predicted: float
    half_width: float  # dex, of the band as stated at the cut-off

    @property
    def error(self) -> float:
        """log₁₀(actual / predicted)."""
        return math.log10(self.actual / self.predicted)

    @property
    def step(self) -> float:
        """|error| / √(1 + h)."""
        return abs(self.error) / math.sqrt(1.0 + self.horizon)

    @property
    def inside(self) -> bool:
        """Inside the band as stated at the cut-off."""
        return abs(self.error) <= self.half_width


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many outcomes the bands held, and the median of actual / predicted."""

    group: str
    n: int
    inside: float
    median_ratio: float


def backtest(points: Sequence[Point] | None = None) -> tuple[Backtest, ...]:
    """Every prediction at every cut-off year, its band as it would have been stated then."""
    return known_backtest() if points is None else _backtest(tuple(points))


@cache
def known_backtest() -> tuple[Backtest, ...]:
    """That of all that the library knows."""
    return _backtest((*fit_points(), *series_points()))


def _backtest(points: Sequence[Point]) -> tuple[Backtest, ...]:
    years = sorted(point.year for point in points)
    rows = [row for cutoff in range(math.ceil(years[0]), math.floor(years[-1]) + 1) for row in _at(cutoff, points)]
    steps = {key: walk(rows, *key) for key in {(row.metric, row.cutoff) for row in rows}}
    return tuple(replace(row, half_width=_stated(steps[row.metric, row.cutoff], row)) for row in rows)


def _stated(step: float | None, row: Backtest) -> float:
    return row.half_width if step is None else step * math.sqrt(1.0 + row.horizon)


def _at(cutoff: int, points: Sequence[Point]) -> list[Backtest]:
    known = [point for point in points if point.year < cutoff]
    trends = fits(known)
    rows: list[Backtest] = []
    for target in points:
        base = anchor(known, target.vendor) if target.year >= cutoff else None
        years = target.year - base.year if base else math.inf
        for metric in target.values if base and years <= TESTED_YEARS else ():
            factor, trend = factor_of(trends, metric, years), trend_of(trends, metric)
            if base and metric in base.values and factor is not None and trend is not None and metric != "read_all":
                actual, predicted = target.values[metric], base.values[metric] * factor
                told = (cutoff, base.name, target.name, target.year, years)
                rows.append(Backtest(metric, *told, trend.n, actual, predicted, trend.half_width(years)))
    return rows


def anchor(known: Iterable[Point], vendor: str) -> Point | None:
    """The vendor's best part: the most memory bandwidth, then fp32, then the latest; of a series the latest figure."""
    mine = [point for point in known if point.vendor == vendor]
    return max(mine, key=lambda p: (p.values.get("bandwidth", 0.0), p.values.get("fp32", 0.0), p.year), default=None)


def walk(rows: Iterable[Backtest], metric: str, before: float = math.inf) -> float | None:
    """The step w of a metric's band, from predictions whose targets had shipped `before`; None for too few."""
    steps = sorted(row.step for row in rows if row.metric == metric and row.year < before and row.cutoff < before)
    return quantile(steps) if len(steps) >= MIN_ERRORS else None


def quantile(ordered: Sequence[float]) -> float:
    """The ⌈(n+1)·0.8⌉-th of ascending errors (split-conformal), the last at most."""
    return ordered[min(len(ordered), math.ceil((len(ordered) + 1) * LEVEL)) - 1]


@cache
def known_walk(metric: str, before: float = math.inf) -> float | None:
    """The step that a projection of a year takes."""
    return walk(known_backtest(), metric, before)


def band(metric: str, trend: Fit, years: float, before: float = math.inf) -> float:
    """Half width (dex) of the 80 % band of a projection made at `before`, `years` from its base."""
    step = known_walk(metric, before)
    return trend.half_width(years) if step is None else step * math.sqrt(1.0 + abs(years))


def coverage(rows: Sequence[Backtest], by: str = "metric") -> list[Coverage]:
    """Share of outcomes inside the band stated at the cut-off, by metric or cut-off, and over all."""
    order = [*METRICS, *SERIES] if by == "metric" else sorted({row.cutoff for row in rows})
    groups = [(str(name), [row for row in rows if getattr(row, by) == name]) for name in order]
    return [_coverage(name, group) for name, group in [*groups, ("all", list(rows))] if group]


def _coverage(name: str, rows: Sequence[Backtest]) -> Coverage:
    return Coverage(name, len(rows), mean(r.inside for r in rows), median(r.actual / r.predicted for r in rows))


def published_coverage() -> tuple[int, float, float]:
    """Published predictions of another collection, the share their own nominal 90 % bands held, and the share our 80 %
    bands on the same fits would have held: half width · t₀.₉₀/t₀.₉₅ · √(1 + h)."""
    nominal, ours = [], []
    for row in published_rows():
        width = math.log10(float(row["high"]) / float(row["low"])) / 2.0
        error = abs(math.log10(float(row["actual"]) / float(row["predicted"])))
        freedom = int(row["n"]) - 2
        wider = float(stdtrit(freedom, 0.90) / stdtrit(freedom, 0.95)) * math.sqrt(1.0 + float(row["horizon_years"]))
        nominal.append(error <= width)
        ours.append(bool(error <= width * wider))
    return len(ours), mean(nominal), mean(ours)
