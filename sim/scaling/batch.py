"""Work to a target against the global batch (McCandlish et al. 2018, arXiv 1812.06162, eq. 2.7)."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Final

from sim.errors import InputError, Problem, Unreachable, UnreachableError
from sim.scaling.records import CriticalBatch, LearningCurve, Passes

SLICES: Final = 400  # of the integral over a run; the sum has settled to 1e-4 at 100


def steps_at(min_steps: float, critical_batch: float, batch: float) -> float:
    """S(B) = S_min·(1 + B_c/B): steps to the target at global batch B."""
    return min_steps * (1.0 + critical_batch / batch)


def samples_at(min_samples: float, critical_batch: float, batch: float) -> float:
    """E(B) = E_min·(1 + B/B_c): samples to the target at global batch B."""
    return min_samples * (1.0 + batch / critical_batch)


def samples_as_it_grows(
    curve: LearningCurve, critical: CriticalBatch, units_per_sample: float, units: float, batch: float
) -> float:
    """Samples to the target where B_c grows as the error falls: ∫ (1 + B/B_c(ε(m))) dm over one pass of `units`.

    The noise scale rises along training (McCandlish et al. 2018, section 4), so early steps waste more of a large batch
    than late ones.  Midpoint sum over logarithmic slices of the data.
    """
    edges = [units * math.exp(math.log(units) * (k / SLICES - 1.0)) for k in range(SLICES + 1)]
    total = 0.0
    for low, high in pairwise(edges):
        middle = math.sqrt(low * high)
        error = curve.alpha * middle**curve.beta + curve.irreducible
        error = error if curve.best_guess is None else min(error, curve.best_guess)
        total += (high - low) * (1.0 + batch / critical.in_samples(units_per_sample, error))
    return total / units_per_sample


_BATCH: Final = re.compile(r"\s*([0-9][0-9.,_]*(?:[eE][+-]?\d+)?)\s*([A-Za-z][A-Za-z ]*?)\s*")


def parse_critical_batch(given: object, unit: str) -> CriticalBatch:
    """`3945 samples` or `100,000 words` (the domain's unit, singular or plural); a bare number has no unit."""
    path = "training.critical_batch"
    hint = f'write "{given} samples" or "{given} {unit}s"'
    found = _BATCH.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise InputError(Problem("needs a number and its unit, samples or units of data", path, repr(given), hint=hint))
    try:
        value = float(found[1].replace(",", "").replace("_", ""))
    except ValueError:
        raise InputError(Problem("is no number with a unit", path, repr(given), hint=hint)) from None
    if not (math.isfinite(value) and value > 0):
        raise InputError(Problem("must be positive", path, repr(given)))
    counted = found[2].lower().removesuffix("s")
    if counted == "sample":
        return CriticalBatch(samples=value, measured_at="given in the scenario")
    if counted == unit.lower().removesuffix("s"):
        return CriticalBatch(units=value, measured_at="given in the scenario")
    raise InputError(
        Problem(f"is neither in samples nor in {unit}s", path, repr(given), hint="samples or units of data")
    )


def check_batch(batch: float, known: Passes, error: float) -> None:
    """UnreachableError where no published run reached the error at so large a batch."""
    if known.largest_batch is not None and batch > known.largest_batch:
        who = known.largest_batch_source or known.source
        said = (
            f"an error of {error:g} has not been reached at a global batch of {batch:,.0f}: "
            f"the largest that reached it is {known.largest_batch:,.0f} samples ({who})"
        )
        raise UnreachableError(Unreachable(said))
