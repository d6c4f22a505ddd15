"""Power laws of learning and of model size, and their inverses.

Source of the forms: Hestness et al. 2017 (arXiv 1712.00409), section 3 and figure 6 (three regions);
Hestness, Ardalani, Diamos (PPoPP 2019, arXiv 1909.01736), table 1.
"""

from __future__ import annotations

import math
from typing import Literal

from sim.errors import InputError, Problem, Unreachable, UnreachableError
from sim.scaling.records import LearningCurve, SizeLaw

Region = Literal["best-guess", "power-law", "irreducible"]


def error_at(curve: LearningCurve, units: float) -> float:
    """ε(m) = min(best guess, α·m^β + γ): generalisation error after training on `units` of data."""
    power_law = float(curve.alpha * units**curve.beta) + curve.irreducible
    return power_law if curve.best_guess is None else min(curve.best_guess, power_law)


def data_for(curve: LearningCurve, error: float) -> float:
    """m(ε) = ((ε − γ)/α)^(1/β): units of data that reach `error`.

    Raises UnreachableError at or below the irreducible error, InputError at or above the best guess.
    """
    if not math.isfinite(error) or error <= 0:
        raise InputError(Problem(path="target.error", rule="must be a positive number", value=repr(error)))
    if error <= curve.irreducible:
        raise UnreachableError(
            Unreachable(
                f"an error of {error:g} is at or below the irreducible error {curve.irreducible:g}: "
                "no amount of data reaches it",
                error,
                curve.irreducible,
            )
        )
    if curve.best_guess is not None and error >= curve.best_guess:
        raise InputError(
            Problem(
                path="target.error",
                rule=f"already reached by guessing: must be below the best-guess error {curve.best_guess:g}",
                value=f"{error:g}",
            )
        )
    try:
        return float(((error - curve.irreducible) / curve.alpha) ** (1.0 / curve.beta))
    except OverflowError as overflow:
        raise UnreachableError(
            Unreachable(f"an error of {error:g} needs more data than a number can hold", error, curve.irreducible)
        ) from overflow


def region(curve: LearningCurve, units: float) -> Region:
    """Where on the curve `units` of data lie; irreducible once γ outweighs the power-law term."""
    power_law = curve.alpha * units**curve.beta
    if curve.best_guess is not None and power_law + curve.irreducible >= curve.best_guess:
        return "best-guess"
    return "irreducible" if power_law < curve.irreducible else "power-law"


def parameters_for(law: SizeLaw, units: float) -> float:
    """p(m) = σ·m^βp: parameters of the smallest model that fits `units` of data."""
    return law.sigma * float(units**law.beta)


def data_scale(curve: LearningCurve, current_error: float, target_error: float) -> float:
    """((ε_now − γ)/(ε_target − γ))^(−1/β): how many times more data the target needs."""
    return data_for(curve, target_error) / data_for(curve, current_error)


def steps_at(min_steps: float, critical_batch: float, batch: float) -> float:
    """S(B) = S_min·(1 + B_c/B): steps to the target at global batch B (McCandlish et al. 2018, arXiv 1812.06162)."""
    return min_steps * (1.0 + critical_batch / batch)


def samples_at(min_samples: float, critical_batch: float, batch: float) -> float:
    """E(B) = E_min·(1 + B/B_c): samples to the target at global batch B (McCandlish et al. 2018)."""
    return min_samples * (1.0 + batch / critical_batch)
