"""Work to the target against the global batch: E(B) = E_min·(1 + B/B_c), fitted without the round a row is from.

McCandlish et al. 2018 (arXiv 1812.06162), eq. 2.7: samples to a target grow linearly with the batch, from E_min to
twice that at the critical batch B_c.  A benchmark has one law; the fit minimises the sum of |E_fit/E − 1| over the rows
of all other rounds, so that a row never sees its own round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.scaling import samples_at
from sim.validate.validation import Outcome, Request, ValidationSet, requests

ROUNDS = 40  # of reweighting; the fit has settled to 1e-6 long before
FEWEST = 3  # different batches a law needs


@dataclass(frozen=True, slots=True)
class EpochLaw:
    """E_min [epochs, or what the benchmark counts] and B_c [samples]; no B_c: the batch makes no difference."""

    least: float
    critical_batch: float | None

    def at(self, batch: float) -> float:
        """Work to the target at a global batch."""
        return self.least if self.critical_batch is None else samples_at(self.least, self.critical_batch, batch)


def fit_law(points: Sequence[tuple[float, float]]) -> EpochLaw:
    """E_min and B_c of (batch, work) pairs: least absolute relative error by reweighted least squares."""
    weights = [1.0] * len(points)
    least, slope = 0.0, 0.0
    for _ in range(ROUNDS):
        least, slope = _line(points, weights)
        weights = [1.0 / max(1e-6, abs((least + slope * b) / e - 1.0)) for b, e in points]
    if slope <= 0.0 or least <= 0.0:
        return EpochLaw(sorted(e for _, e in points)[len(points) // 2], None)
    return EpochLaw(least, least / slope)


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


def simulate_row(spec: ValidationSet, request: Request) -> Outcome | str:
    """Work to the target of one row by the law of its benchmark's other rounds."""
    row = request.row
    others = [
        (float(other.row["global_batch_size"]), other.measured)
        for other in requests(spec)
        if other.row["benchmark"] == row["benchmark"] and other.row["round"] != row["round"]
        if not other.skip and other.measured is not None
    ]
    if len({batch for batch, _ in others}) < FEWEST:
        return f"the other rounds of {row['benchmark']} have fewer than {FEWEST} batches"
    law = fit_law(others)
    return Outcome(
        fields={"epochs": law.at(float(row["global_batch_size"]))},
        accelerator=row["benchmark"],
        ideal_s=1.0,
        compute_share=1.0,
        fits=True,
    )


def notes(spec: ValidationSet) -> tuple[str, ...]:
    """The law of each benchmark over all its rounds."""
    asked = [r for r in requests(spec) if not r.skip and r.measured is not None]
    found = []
    for name in dict.fromkeys(r.row["benchmark"] for r in asked):
        mine = [(float(r.row["global_batch_size"]), r.measured or 0.0) for r in asked if r.row["benchmark"] == name]
        if len({batch for batch, _ in mine}) < FEWEST:
            continue
        law = fit_law(mine)
        unit = next(r.row["unit"] for r in asked if r.row["benchmark"] == name)
        bend = "no dependence on the batch" if law.critical_batch is None else f"B_c {law.critical_batch:,.0f} samples"
        found.append(f"{name}, all rounds: E_min {law.least:.4g} ({unit}), {bend}")
    return tuple(found)
