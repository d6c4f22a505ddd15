"""Work to a target against the batch, fitted: E(B) = E_min·(1 + B/B_c) (McCandlish et al. 2018, eq. 2.7).

The fit minimises the sum of |E_fit/E − 1| by reweighted least squares: benchmark entries have a few far-off recipes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Final

from sim.records import dataclass
from sim.scaling.batch import samples_at

ROUNDS: Final = 40  # of reweighting; the fit has settled to 1e-6 long before
FEWEST: Final = 3  # different batches a law needs


@dataclass(frozen=True, slots=True)
class BatchLaw:
    """E_min (in what was counted) and B_c [samples]; no B_c: the batch makes no difference."""

    least: float
    critical_batch: float | None

    def at(self, batch: float) -> float:
        """Work to the target at a global batch."""
        return self.least if self.critical_batch is None else samples_at(self.least, self.critical_batch, batch)


def fit_batch(points: Sequence[tuple[float, float]]) -> BatchLaw:
    """E_min and B_c of (batch, work) pairs."""
    weights = [1.0] * len(points)
    least, slope = 0.0, 0.0
    for _ in range(ROUNDS):
        least, slope = _line(points, weights)
        weights = [1.0 / max(1e-6, abs((least + slope * b) / e - 1.0)) for b, e in points]
    if slope <= 0.0 or least <= 0.0:
        return BatchLaw(sorted(e for _, e in points)[len(points) // 2], None)
    return BatchLaw(least, least / slope)


def fit_pooled(groups: Sequence[Sequence[tuple[float, float]]], pooled: float) -> tuple[list[float], float]:
    """(E_min of every group, one B_c for all): groups are rounds, recipes or targets that share a critical batch.

    Alternates E_min = median of E/(1 + B/B_c) of each group with a search of ln B_c for the least Σ |ln E_fit/E|.
    """

    def lost(log_critical: float) -> float:
        critical = math.exp(log_critical)
        return sum(
            abs(math.log(least * (1 + b / critical) / e))
            for group in groups
            for least in (_level(group, critical),)
            for b, e in group
        )

    low, high = math.log(pooled) - 4.0, math.log(pooled) + 4.0
    tried = [(lost(low + k * (high - low) / 400), low + k * (high - low) / 400) for k in range(401)]
    critical = math.exp(min(tried)[1])
    return [_level(group, critical) for group in groups], critical


def _level(group: Sequence[tuple[float, float]], critical: float) -> float:
    return median(e / (1.0 + b / critical) for b, e in group)


def _line(points: Sequence[tuple[float, float]], weights: Sequence[float]) -> tuple[float, float]:
    """Intercept and slope that minimise Σ w·((a + s·b)/e − 1)²."""
    scaled = [w / (e * e) for w, (_, e) in zip(weights, points, strict=True)]
    s0 = sum(scaled)
    s1 = sum(w * b for w, (b, _) in zip(scaled, points, strict=True))
    s2 = sum(w * b * b for w, (b, _) in zip(scaled, points, strict=True))
    t0 = sum(w * e for w, (_, e) in zip(scaled, points, strict=True))
    t1 = sum(w * b * e for w, (b, e) in zip(scaled, points, strict=True))
    det = s0 * s2 - s1 * s1
    if det <= 1e-12 * s0 * s2:
        return t0 / s0, 0.0
    return (t0 * s2 - t1 * s1) / det, (s0 * t1 - s1 * t0) / det
