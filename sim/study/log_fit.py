"""Positive constants of a model fitted to positive measurements, in logarithms, with intervals by profile.

Residuals are ln(model / measured). A robust fit (soft L1) finds the rows that lie off; what lies more than five robust
standard deviations off is left out, the rest is fitted by least squares. The 90 % interval of a constant ends where
the best sum of squares with that constant held has risen by s²·t² (profile likelihood; Bates & Watts 1988, ch. 6).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import stdtrit

from sim.records import dataclass

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
SOFT: Final = 0.03  # residual from which a row counts by its size, no longer by its square: noise of a careful timing
OUTLIER: Final = 5.0  # robust standard deviations
LEAST_OUTLIER: Final = 0.02  # |ln| below which no row is an outlier
MAD: Final = 1.4826  # standard deviation of normal residuals over their median size
SMOOTH: Final = 1e-12  # tolerance of a fit whose model has derivatives
EXACT: Final = 1e-12  # scatter of ln below which an interval is a point


@dataclass(frozen=True, slots=True)
class LogFit:
    """ln of the constants, their 90 % intervals, residuals of all rows, and which of them were kept."""

    x: Vector
    intervals: tuple[tuple[float, float], ...]
    residuals: Vector
    kept: Mask


def fit_logs(residuals: Callable[[Vector], Vector], start: Vector, upper: Vector, tolerance: float = SMOOTH) -> LogFit:
    """Fit `residuals(x)` → 0 from `start`, each x at most `upper`, to a relative `tolerance` (a model with kinks has no
    derivatives that bear a fine one); needs more kept rows than constants."""
    x = _solve(residuals, start, upper, tolerance, loss="soft_l1", f_scale=SOFT)
    kept = np.ones(len(residuals(x)), dtype=bool)
    for _ in range(3):
        off = np.abs(residuals(x))
        freedom = max(1, kept.sum() - len(x))
        scatter = MAD * float(np.median(off[kept])) * math.sqrt(kept.sum() / freedom)
        limit = max(OUTLIER * scatter, LEAST_OUTLIER)
        chosen = off <= limit
        if chosen.sum() <= len(x):
            break
        kept = chosen
        x = _solve(lambda v, rows=kept: residuals(v)[rows], x, upper, tolerance)  # type: ignore[misc]
    profile = _Profile(lambda v: residuals(v)[kept], x, upper)
    intervals = tuple((profile.bound(i, -1.0), profile.bound(i, 1.0)) for i in range(len(x)))
    return LogFit(x, intervals, residuals(x), kept)


def jacobian(residuals: Callable[[Vector], Vector], x: Vector, step: float = 1e-4) -> Vector:
    """∂ residual / ∂x by central differences: the share of a row's time that a constant decides."""
    columns = [(residuals(x + d) - residuals(x - d)) / (2 * step) for d in step * np.eye(len(x))]
    return np.stack(columns, axis=1)


def _solve(residuals: Callable[[Vector], Vector], start: Vector, upper: Vector, tolerance: float, **how: Any) -> Vector:
    inside = np.minimum(start, upper - 1e-9)
    how |= dict.fromkeys(("xtol", "ftol", "gtol"), tolerance)
    found = least_squares(residuals, inside, bounds=(-np.inf, upper), **how)
    return np.asarray(found.x, dtype=np.float64)


class _Profile:
    """Sum of squares over one constant, the others fitted anew."""

    def __init__(self, residuals: Callable[[Vector], Vector], x: Vector, upper: Vector) -> None:
        self.residuals, self.x, self.upper = residuals, x, upper
        rest = residuals(x)
        freedom = max(1, len(rest) - len(x))
        self.least = float(rest @ rest)
        self.scatter = math.sqrt(self.least / freedom)
        self.t = float(stdtrit(freedom, 0.95))
        slopes = jacobian(residuals, x)
        self.covariance = np.linalg.pinv(slopes.T @ slopes)

    def bound(self, i: int, side: float) -> float:
        """Where |t| of constant i reaches the 5 % point, from the linear guess by the secant through the optimum."""
        if self.scatter < EXACT or self.covariance[i, i] <= 0.0:  # no scatter, or nothing that tells the constant
            return float(self.x[i])
        away = side * self.t * self.scatter * math.sqrt(float(self.covariance[i, i]))
        for _ in range(6):
            if self.x[i] + away >= self.upper[i]:
                return float(self.upper[i])
            reached = self._t_at(i, away)
            if abs(reached / self.t - 1.0) < 0.01:
                break
            away *= min(2.0, self.t / max(reached, 1e-3))
        return float(self.x[i] + away)

    def _t_at(self, i: int, away: float) -> float:
        others = np.arange(len(self.x)) != i
        moved = self.x + away * self.covariance[i] / self.covariance[i, i]
        moved[i] = self.x[i] + away

        def held(free: Vector) -> Vector:
            point = moved.copy()
            point[others] = free
            return self.residuals(point)

        if others.any():
            inside = np.minimum(moved[others], self.upper[others] - 1e-9)
            rest = least_squares(held, inside, bounds=(-np.inf, self.upper[others]), xtol=1e-6, ftol=1e-6).fun
        else:
            rest = held(moved[others])
        return math.sqrt(max(0.0, float(rest @ rest) - self.least)) / self.scatter
