"""Power laws of learning and of model size, and their inverses.

Source of the forms: Hestness et al. 2017 (arXiv 1712.00409), section 3 and figure 6 (three regions);
Hestness, Ardalani, Diamos (PPoPP 2019, arXiv 1909.01736), table 1.
"""

from __future__ import annotations

import math
from typing import Final, Literal

from sim.errors import InputError, Problem, Unreachable, UnreachableError
from sim.scaling.records import LearningCurve, SizeLaw

Region = Literal["best-guess", "power-law", "irreducible"]
FLAT: Final = 0.1
"""Share of β below which the local slope counts as flat: ten times the data then buy what 1.26 times buys before."""


def error_at(curve: LearningCurve, units: float) -> float:
    """ε(m) = min(best guess, α·m^β + γ): generalisation error after training on `units` of data."""
    power_law = float(curve.alpha * units**curve.beta) + curve.irreducible
    return power_law if curve.best_guess is None else min(curve.best_guess, power_law)


def data_for(curve: LearningCurve, error: float) -> float:
    """m(ε) = ((ε − γ)/α)^(1/β): units of data that reach `error`.

    Raises UnreachableError at or below the irreducible error, InputError at or above the best guess.
    """
    check_error(error, curve.irreducible, curve.errors.standard.get("irreducible"))
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


def check_error(error: float, floor: float, spread: float | None = None) -> None:
    """InputError for a target that is no positive number, UnreachableError for one at or below the floor."""
    if not math.isfinite(error) or error <= 0:
        raise InputError(Problem(path="target.error", rule="must be a positive number", value=repr(error)))
    if error <= floor:
        band = f" (90 % band {floor - 1.645 * spread:.4g} to {floor + 1.645 * spread:.4g})" if spread else ""
        said = (
            f"an error of {error:g} is at or below the irreducible error {floor:g}{band}: no amount of data reaches it"
        )
        raise UnreachableError(Unreachable(said, error, floor))


def region(curve: LearningCurve, units: float) -> Region:
    """Where on the curve `units` of data lie.

    Irreducible where the curve is flat: its local slope d ln ε/d ln m = β·(ε − γ)/ε has fallen below `FLAT` of β.
    """
    power_law = curve.alpha * units**curve.beta
    if curve.best_guess is not None and power_law + curve.irreducible >= curve.best_guess:
        return "best-guess"
    return "irreducible" if power_law < FLAT * (power_law + curve.irreducible) else "power-law"


def parameters_for(law: SizeLaw, units: float) -> float:
    """p(m) = σ·m^βp: parameters of the smallest model that fits `units` of data."""
    return law.sigma * float(units**law.beta)


def data_scale(curve: LearningCurve, current_error: float, target_error: float) -> float:
    """((ε_now − γ)/(ε_target − γ))^(−1/β): how many times more data the target needs."""
    return data_for(curve, target_error) / data_for(curve, current_error)
